// SPDX-License-Identifier: Apache-2.0
// The driver on the rig: right or wrong in every way, as the input says.
#include "flush_rig.h"

#include "guest_access.h"

#include <errno.h>

#define STORE_MAX 64u
#define RUNNING (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK)

/* ---- driver ----------------------------------------------------------------------------------------- */

static struct virtq *queue(struct flush_rig *rig)
{
	return virtio_queue(&rig->dev.virtio, PMEM_QUEUE);
}

void flush_guest_restart(struct flush_rig *rig, uint32_t features, uint16_t size)
{
	struct vpmem_device *dev = &rig->dev;
	const struct vpmem_queue regs = {
		.size = size,
		.desc_gpa = RIG_DESC_GPA,
		.driver_gpa = RIG_AVAIL_GPA,
		.device_gpa = RIG_USED_GPA,
	};

	vpmem_device_set_status(dev, 0);
	flush_rig_clear();
	vpmem_device_set_driver_features(dev, 0, features & (uint32_t)RIG_OFFERED);
	vpmem_device_set_driver_features(dev, 1, (uint32_t)(RIG_OFFERED >> 32));
	vpmem_device_set_status(dev, RUNNING);
	vpmem_queue_set(dev, 0, &regs);
	vpmem_queue_enable(dev, 0);
	vpmem_device_set_status(dev, RUNNING | VIRTIO_STATUS_DRIVER_OK);
}

static void put_desc(uint64_t table_gpa, unsigned idx, uint64_t gpa, uint32_t len, unsigned flags, unsigned next)
{
	flush_rig_store(table_gpa + 16 * idx, gpa, 8);
	flush_rig_store(table_gpa + 16 * idx + 8, len, 4);
	flush_rig_store(table_gpa + 16 * idx + 12, flags, 2);
	flush_rig_store(table_gpa + 16 * idx + 14, next, 2);
}

static void put_avail(struct flush_rig *rig, uint16_t head)
{
	const struct virtq_regs *regs = &queue(rig)->regs;
	const uint8_t *hva = flush_rig_ram(regs->driver_gpa, 4);
	unsigned idx = hva ? guest_load8(hva + 2) | (unsigned)guest_load8(hva + 3) << 8 : 0;

	flush_rig_store(regs->driver_gpa + 4 + 2 * (idx % regs->size), head, 2);
	flush_rig_store(regs->driver_gpa + 2, idx + 1, 2);
}

void flush_guest_put_flush(struct flush_rig *rig, unsigned slot, bool indirect)
{
	uint64_t data_gpa = RIG_DATA_GPA + 8 * slot;
	uint64_t table_gpa = indirect ? RIG_TABLE_GPA + 32 * slot : queue(rig)->regs.desc_gpa;
	unsigned first = indirect ? 0 : 2 * slot % queue(rig)->regs.size;

	flush_rig_store(data_gpa, 0, 4);
	put_desc(table_gpa, first, data_gpa, 4, 1, first + 1);
	put_desc(table_gpa, first + 1, data_gpa + 4, 4, 2, 0);
	if (indirect)
		put_desc(queue(rig)->regs.desc_gpa, slot % queue(rig)->regs.size, table_gpa, 32, 4, 0);
	put_avail(rig, (uint16_t)(indirect ? slot % queue(rig)->regs.size : first));
}

/* ---- what the input says ------------------------------------------------------------------------------ */

/* Two bytes reach all of memory and the edges of its areas; from 0xc000 on eight more follow. */
static uint64_t take_gpa(struct input *in)
{
	uint16_t val = take16(in);

	if (val < 0x8000)
		return val;
	if (val < 0xc000)
		return RIG_TOP_GPA - RIG_PAGE + (val & 0x3fff);
	return input_take(in, 8);
}

static uint32_t take_len(struct input *in)
{
	uint16_t val = take16(in);

	return val < 0x8000 ? val : take32(in);
}

static void take_desc(struct input *in, uint64_t table_gpa)
{
	unsigned idx = take8(in);
	uint64_t gpa = take_gpa(in);
	uint32_t len = take_len(in);
	unsigned flags = take8(in);

	put_desc(table_gpa, idx, gpa, len, flags, take8(in));
}

static void take_queue(struct flush_rig *rig, struct input *in)
{
	struct vpmem_queue regs = { .size = take16(in) };
	uint16_t queue_idx = take8(in);

	regs.desc_gpa = take_gpa(in);
	regs.driver_gpa = take_gpa(in);
	regs.device_gpa = take_gpa(in);
	vpmem_queue_set(&rig->dev, queue_idx, &regs);
}

static void take_store(struct input *in)
{
	uint64_t gpa = take_gpa(in);
	struct input bytes = input_slice(in, 1 + take8(in) % STORE_MAX);

	for (uint64_t i = 0; bytes.len > 0; i++)
		flush_rig_store(gpa + i, take8(&bytes), 1);
}

static void read_registers(struct flush_rig *rig, struct input *in)
{
	struct vpmem_device *dev = &rig->dev;
	uint8_t bytes[16];

	vpmem_device_config_read(dev, take32(in), bytes, take8(in) % (sizeof(bytes) + 1));
	vpmem_device_config_generation(dev);
	CHECK(vpmem_device_driver_features(dev, 2) == 0 && vpmem_device_features(dev, 2) == 0);
	CHECK(vpmem_queue_get(dev, 1).size == 0);
	CHECK(vpmem_queue_get(dev, 0).size <= VPMEM_QUEUE_SIZE_MAX);
}

void flush_rig_step(struct flush_rig *rig, struct input *in)
{
	static const int sync_results[] = { 0, -EIO, -ENOSPC, 0 };
	struct vpmem_device *dev = &rig->dev;

	switch (take8(in) % 19) {
	case 0:
		flush_rig_serve(rig);
		break;
	case 1: {
		uint32_t features = take32(in);

		flush_guest_restart(rig, features, (uint16_t)(1u << take8(in) % 8));
		break;
	}
	case 2:
		flush_guest_put_flush(rig, take8(in) % 128, false);
		break;
	case 3:
		flush_guest_put_flush(rig, take8(in) % 128, true);
		break;
	case 4:
		take_desc(in, queue(rig)->regs.desc_gpa);
		break;
	case 5:
		take_desc(in, RIG_TABLE_GPA);
		break;
	case 6:
		put_avail(rig, take8(in));
		break;
	case 7:
		put_avail(rig, take16(in));
		break;
	case 8:
		take_store(in);
		break;
	case 9:
		rig->sync_rc = sync_results[take8(in) % 4];
		break;
	case 10:
		rig->during_sync = take8(in) % RIG_DURING_SYNCS;
		break;
	case 11:
		(void)vpmem_device_clear_error(dev, vpmem_device_stats(dev).sync_errors);
		break;
	case 12:
		vpmem_device_set_status(dev, take8(in));
		break;
	case 13: {
		uint32_t word = take8(in);

		vpmem_device_set_driver_features(dev, word, take32(in));
		break;
	}
	case 14:
		take_queue(rig, in);
		break;
	case 15:
		vpmem_queue_enable(dev, take8(in) % 2);
		break;
	case 16:
		vpmem_queue_reset(dev, take8(in) % 2);
		break;
	case 17:
		vpmem_device_set_gpa(dev, take_gpa(in));
		read_registers(rig, in);
		break;
	case 18: {
		unsigned how = take8(in);

		dev->hold_on_error = how & 1;
		rig->while_held = (how >> 1) % RIG_WHILE_HELDS;
		break;
	}
	}
}
