// SPDX-License-Identifier: Apache-2.0
/*
 * kernels.h - for tests: makes small kernels, of which a test then spoils something, and loads them.
 */
#ifndef PMVM_TEST_KERNELS_H
#define PMVM_TEST_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "boot.h"
#include "guest_ram.h"

/* A file's content while a test makes it. */
struct image {
	size_t len;
	uint8_t bytes[65536];
};

/* One change to an image. */
struct spoil {
	size_t off;
	unsigned width; /* bytes, little endian; 0: truncate the file here */
	uint64_t val;
};

void image_spoil(struct image *image, struct spoil spoil);

/* An open file with this content, gone when closed. */
int file_of(const void *bytes, size_t len);
/* The same for a size with nothing in it. */
int file_of_zeros(uint64_t size);

#define BZIMAGE_LOAD_GPA UINT64_C(0x1000000)
#define BZIMAGE_INIT_SIZE UINT64_C(0x900000)
#define BZIMAGE_SETUP_LEN 1536u /* boot sector and two more */
#define BZIMAGE_PAYLOAD_LEN 8192u
/* A bzImage whose payload bytes are bzimage_byte(i). */
void bzimage_make(struct image *image);
uint8_t bzimage_byte(size_t off);

#define ELF_TEXT_GPA UINT64_C(0x1000000)
#define ELF_TEXT_LEN 0x2000u
#define ELF_DATA_GPA UINT64_C(0x1400000)
#define ELF_DATA_LEN 0x1000u
#define ELF_DATA_MEM_LEN UINT64_C(0x300000)
#define ELF_ENTRY (ELF_TEXT_GPA + 0x850)
#define ELF_PHOFF 64u        /* three program headers of 56 bytes: text, data, notes */
#define ELF_NOTES_OFF 0x400u /* another note, then the one with the entry */
#define ELF_ENTRY_NOTE_OFF (ELF_NOTES_OFF + 20)
#define ELF_NOTES_LEN 44u
#define ELF_TEXT_OFF 0x1000u
#define ELF_DATA_OFF (ELF_TEXT_OFF + ELF_TEXT_LEN)
/* A vmlinux with text 0xc3 and data 0xda. */
void elf_make(struct image *image);

struct loaded {
	struct boot_entry entry;
	struct vpmem_error err;
};

/* boot_load of an image with an initrd of initrd_size (0: none) zeros, and a command line. */
int load_image(const struct guest_ram *ram, const struct image *image, uint64_t initrd_size, const char *cmdline,
               struct loaded *out);

/* Loads what is spoiled, which must be refused with `text` in the message. */
void assert_refused(const struct guest_ram *ram, const struct image *image, const char *text);

#endif
