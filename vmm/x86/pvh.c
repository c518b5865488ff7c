// SPDX-License-Identifier: Apache-2.0
/*
 * pvh.c - the PVH boot protocol (Xen's docs/misc/pvh.pandoc): an uncompressed ELF vmlinux.
 *
 * Segments go to their physical addresses. An ELF note names the entry, which is reached in flat 32-bit mode
 * with the address of struct hvm_start_info in EBX; that structure and what it points to share one page.
 */
#include <assert.h>
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "boot_image.h"
#include "e820.h"
#include "error.h"
#include "memory_map.h"

#define NOTE_PHYS32_ENTRY 18u /* XEN_ELFNOTE_PHYS32_ENTRY */
#define NOTE_NAME "Xen"
#define SEGMENTS_MAX 64u /* Linux has 5 */
#define NOTES_MAX 1024u  /* Linux has some 20 */

#define START_MAGIC 0x336ec578u
#define MEMMAP_RAM 1u

struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist_paddr, cmdline_paddr, rsdp_paddr;
	uint64_t memmap_paddr; /* from here on: version 1 */
	uint32_t memmap_entries, reserved;
};

struct module {
	uint64_t paddr, size, cmdline_paddr, reserved;
};

struct memmap_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
};

/* The contents of the page at BOOT_PARAMS_GPA. */
struct start_page {
	struct start_info info;
	struct module initrd;
	struct memmap_entry memmap[E820_MAX];
};

static_assert(sizeof(struct start_info) == 56 && sizeof(struct module) == 32 && sizeof(struct memmap_entry) == 24,
              "as the PVH protocol has it");
static_assert(E820_TYPE_RAM == MEMMAP_RAM, "PVH has e820's types");

static bool probe(const struct boot *boot)
{
	return memcmp(boot->head, ELFMAG, SELFMAG) == 0;
}

static int check_header(struct boot *boot, const Elf64_Ehdr *ehdr)
{
	if (ehdr->e_ident[EI_CLASS] != ELFCLASS64 || ehdr->e_ident[EI_DATA] != ELFDATA2LSB ||
	    ehdr->e_machine != EM_X86_64)
		return boot_refuse(boot, "an ELF file for another architecture; an x86-64 one is needed");
	if (ehdr->e_type != ET_EXEC && ehdr->e_type != ET_DYN)
		return boot_refuse(boot, "an ELF file that is not an executable (type %u)", ehdr->e_type);
	if (ehdr->e_phentsize != sizeof(Elf64_Phdr) || ehdr->e_phnum == 0 || ehdr->e_phnum > SEGMENTS_MAX ||
	    !boot_file_has(&boot->kernel, ehdr->e_phoff, ehdr->e_phnum * sizeof(Elf64_Phdr)))
		return boot_refuse(boot, "invalid ELF program headers: %u of %u bytes at 0x%llx", ehdr->e_phnum,
		                   ehdr->e_phentsize, (unsigned long long)ehdr->e_phoff);
	return 0;
}

static int load_segment(struct boot *boot, const Elf64_Phdr *ph)
{
	uint64_t end = ph->p_paddr + ph->p_memsz;
	void *bss;
	int rc;

	if (ph->p_filesz > ph->p_memsz || end < ph->p_paddr)
		return boot_refuse(boot, "invalid ELF segment: 0x%llx bytes in 0x%llx at 0x%llx",
		                   (unsigned long long)ph->p_filesz, (unsigned long long)ph->p_memsz,
		                   (unsigned long long)ph->p_paddr);
	if (!boot_file_has(&boot->kernel, ph->p_offset, ph->p_filesz))
		return boot_refuse(boot, "the file is truncated: a segment has 0x%llx bytes at offset 0x%llx",
		                   (unsigned long long)ph->p_filesz, (unsigned long long)ph->p_offset);
	if (ph->p_memsz == 0)
		return 0;
	if (ph->p_paddr < HIMEM_GPA)
		return boot_refuse(boot, "a segment lies at 0x%llx, below 1 MiB", (unsigned long long)ph->p_paddr);
	if (end > boot->low_end)
		return boot_refuse_size(boot, end);
	rc = ph->p_filesz ? boot_copy(boot, ph->p_offset, ph->p_paddr, ph->p_filesz) : 0;
	if (rc < 0 || ph->p_filesz == ph->p_memsz)
		return rc;
	/* After a reboot the RAM is not zero. */
	bss = gmem_hva(boot->src->gmem, ph->p_paddr + ph->p_filesz, ph->p_memsz - ph->p_filesz);
	if (!bss)
		return boot_refuse_size(boot, end);
	memset(bss, 0, ph->p_memsz - ph->p_filesz);
	return 0;
}

static int load_segments(struct boot *boot, const Elf64_Phdr *phdrs, unsigned nphdrs)
{
	boot->kernel_gpa = UINT64_MAX;
	boot->kernel_end = 0;
	for (unsigned i = 0; i < nphdrs; i++) {
		const Elf64_Phdr *ph = &phdrs[i];
		int rc = ph->p_type == PT_LOAD ? load_segment(boot, ph) : 0;

		if (rc < 0)
			return rc;
		if (ph->p_type != PT_LOAD || ph->p_memsz == 0)
			continue;
		if (ph->p_paddr < boot->kernel_gpa)
			boot->kernel_gpa = ph->p_paddr;
		if (ph->p_paddr + ph->p_memsz > boot->kernel_end)
			boot->kernel_end = ph->p_paddr + ph->p_memsz;
	}
	return 0;
}

static uint64_t pad(uint64_t len, uint64_t align)
{
	return (len + align - 1) & ~(align - 1);
}

/* Reads the entry from the note at `off` if that is the PVH note: 1 yes, 0 no, -errno. */
static int read_entry(struct boot *boot, const Elf64_Nhdr *note, uint64_t off, uint64_t desc_off)
{
	char name[sizeof(NOTE_NAME)];
	uint64_t entry = 0;
	int rc;

	if (note->n_type != NOTE_PHYS32_ENTRY || note->n_namesz != sizeof(name) ||
	    (note->n_descsz != 4 && note->n_descsz != 8))
		return 0;
	rc = boot_file_read(&boot->kernel, off + sizeof(*note), name, sizeof(name));
	if (rc == 0)
		rc = boot_file_read(&boot->kernel, off + desc_off, &entry, note->n_descsz);
	if (rc < 0 || memcmp(name, NOTE_NAME, sizeof(name)) != 0)
		return rc;
	boot->entry_gpa = entry;
	return 1;
}

/* Looks for the entry in a PT_NOTE segment, up to the first note that exceeds it: 1 found, 0 not found, -errno. */
static int find_entry(struct boot *boot, const Elf64_Phdr *ph, unsigned *nnotes)
{
	uint64_t align = ph->p_align == 8 ? 8 : 4;
	uint64_t off = ph->p_offset, left = ph->p_filesz;

	if (!boot_file_has(&boot->kernel, off, left))
		return 0;
	while (left >= sizeof(Elf64_Nhdr) && (*nnotes)++ < NOTES_MAX) {
		Elf64_Nhdr note;
		uint64_t desc_off, len;
		int rc = boot_file_read(&boot->kernel, off, &note, sizeof(note));

		if (rc < 0)
			return rc;
		desc_off = pad(sizeof(note) + (uint64_t)note.n_namesz, align);
		if (desc_off + note.n_descsz > left)
			return 0;
		rc = read_entry(boot, &note, off, desc_off);
		if (rc != 0)
			return rc;
		len = pad(desc_off + note.n_descsz, align);
		if (len > left)
			return 0;
		off += len;
		left -= len;
	}
	return 0;
}

static int load_entry(struct boot *boot, const Elf64_Phdr *phdrs, unsigned nphdrs)
{
	unsigned nnotes = 0;
	int rc = 0;

	for (unsigned i = 0; i < nphdrs && rc == 0; i++)
		if (phdrs[i].p_type == PT_NOTE)
			rc = find_entry(boot, &phdrs[i], &nnotes);
	if (rc < 0)
		return boot_refuse(boot, "%s", strerror(-rc));
	if (rc == 0) {
		boot_refuse(boot, "an ELF file without the PVH ELF note");
		error_hint(boot->err, "the kernel needs CONFIG_PVH=y; or use its bzImage (vmlinuz)");
		return -ENOEXEC;
	}
	if (boot->entry_gpa < boot->kernel_gpa || boot->entry_gpa >= boot->kernel_end)
		return boot_refuse(boot, "its PVH entry 0x%llx is not in its segments",
		                   (unsigned long long)boot->entry_gpa);
	return 0;
}

static int load(struct boot *boot)
{
	Elf64_Phdr phdrs[SEGMENTS_MAX];
	Elf64_Ehdr ehdr;
	int rc;

	memcpy(&ehdr, boot->head, sizeof(ehdr));
	rc = check_header(boot, &ehdr);
	if (rc < 0)
		return rc;
	rc = boot_file_read(&boot->kernel, ehdr.e_phoff, phdrs, ehdr.e_phnum * sizeof(phdrs[0]));
	if (rc < 0)
		return boot_refuse(boot, "%s", strerror(-rc));
	rc = load_segments(boot, phdrs, ehdr.e_phnum);
	if (rc == 0)
		rc = load_entry(boot, phdrs, ehdr.e_phnum);
	boot->initrd_end_max = boot->low_end;
	boot->cmdline_len_max = BOOT_CMDLINE_MAX - 1;
	return rc;
}

static int handover(struct boot *boot, struct boot_entry *entry)
{
	struct e820_entry map[E820_MAX];
	unsigned n = e820_build(boot->src->ram_size, map);
	struct start_page page = {
		.info = {
			.magic = START_MAGIC,
			.version = 1,
			.nr_modules = boot->initrd_size ? 1 : 0,
			.modlist_paddr = boot->initrd_size ? BOOT_PARAMS_GPA + offsetof(struct start_page, initrd) : 0,
			.cmdline_paddr = BOOT_CMDLINE_GPA,
			.rsdp_paddr = boot->src->rsdp_gpa,
			.memmap_paddr = BOOT_PARAMS_GPA + offsetof(struct start_page, memmap),
			.memmap_entries = n,
		},
		.initrd = { .paddr = boot->initrd_gpa, .size = boot->initrd_size },
	};

	for (unsigned i = 0; i < n; i++)
		page.memmap[i] = (struct memmap_entry) {
			.addr = map[i].gpa,
			.size = map[i].size,
			.type = (uint32_t)map[i].type,
		};
	*entry = (struct boot_entry) { .mode = BOOT_PROT32, .rip = boot->entry_gpa, .rbx = BOOT_PARAMS_GPA };
	return boot_put(boot, BOOT_PARAMS_GPA, &page, sizeof(page));
}

const struct boot_protocol pvh_protocol = {
	.probe = probe,
	.load = load,
	.handover = handover,
};
