// SPDX-License-Identifier: Apache-2.0
// Loads and stores in the pmem window of a file that is written, is only read (rom=1), or is copied. With endless=1 it
// goes on storing: each store to a file that is only read causes a message of the host.
#include "cpu.h"
#include "virtio.h"

#define FILE_WORD UINT64_C(0x6d6f72662066696c) // at the start of each page of the file
#define STORED_WORD UINT64_C(0x73746f72656421)

static struct virtio dev;

void guest_main(void)
{
	bool rom = option("rom", 0);
	volatile uint64_t *window;
	uint64_t nwords, sum = 0;

	if (!virtio_open(&dev, 0) || !virtio_start(&dev, virtio_features(&dev), 8))
		bail("no virtio-pmem device that starts");
	irq_init();
	nwords = virtio_config64(&dev, 8) / 8;
	window = map(virtio_config64(&dev, 0), 8 * nwords);
	for (uint64_t i = 0; i < nwords; i += 512)
		sum += window[i] == FILE_WORD;
	tap_is(sum, nwords / 512, "every page of the file is in the window");
	for (uint64_t i = 0; i < nwords; i += nwords / 64)
		window[i + 1] = STORED_WORD;
	tap_is(window[1], rom ? 0 : STORED_WORD, rom ? "a store is refused" : "a store can be read");
	tap_is(window[nwords - nwords / 64 + 1], rom ? 0 : STORED_WORD, "at the end too");
	tap_is(window[0], FILE_WORD, "what was not stored over is as it was");
	tap_is(virtio_flush(&dev), FLUSH_OK, "a flush");
	if (option("endless", 0))
		print("# storing without end\n");
	while (option("endless", 0))
		window[1] = STORED_WORD;
}
