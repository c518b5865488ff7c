// SPDX-License-Identifier: Apache-2.0
// What a kernel with KUnit prints, and its end: a restart by kunit_shutdown=reboot.
#include "acpi_pm.h"
#include "lib.h"
#include "memory_map.h"

void guest_main(void)
{
	print("KTAP version 1\n1..1\n");
	print("    KTAP version 1\n    # Subtest: pmvm\n    1..2\n");
	print("    ok 1 runs\n");
	print("    %s 2 is_enabled\n", option("kunit.enable", 0) == 1 ? "ok" : "not ok");
	print("ok 1 pmvm\n");
	for (;;)
		outb(ACPI_PORT + ACPI_RESET_OFF, ACPI_RESET_VALUE);
}
