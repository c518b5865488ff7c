// SPDX-License-Identifier: Apache-2.0
//
// The devices that a guest finds through ACPI: serial port, reserved ranges, events. Each PCI bus has its own table,
// pci_bus.asl. The addresses, ports and lines are those of memory_map.h; acpi_test compares them.

// Asks a bus, if it exists, for its pending hotplug events.
#define LOOK(bus) \
    If (CondRefOf (bus.PCNT)) { bus.PCNT () }

DefinitionBlock ("", "DSDT", 2, "PMVM  ", "PMVM    ", 1)
{
    External (\_SB.PCI0.PCNT, MethodObj)
    External (\_SB.PCI1.PCNT, MethodObj)
    External (\_SB.PCI2.PCNT, MethodObj)
    External (\_SB.PCI3.PCNT, MethodObj)
    External (\_SB.PCI4.PCNT, MethodObj)
    External (\_SB.PCI5.PCNT, MethodObj)
    External (\_SB.PCI6.PCNT, MethodObj)
    External (\_SB.PCI7.PCNT, MethodObj)

    Name (\_S5, Package () { 5, 0, 0, 0 })

    Scope (\_SB)
    {
        // Ranges that the machine itself decodes, so that the guest assigns them to no device.
        Device (MBRD)
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, 0xE0000000, 0x00800000)  // ECAM
                IO (Decode16, 0x0600, 0x0600, 1, 4)                // sleep control and status, reset
                IO (Decode16, 0x0610, 0x0610, 1, 4)                // pending events
                IO (Decode16, 0xAE00, 0xAE00, 1, 0x80)             // PCI hotplug
            })
        }

        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 1)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x03F8, 0x03F8, 1, 8)
                Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 4 }
            })
        }

        Device (PWRB)
        {
            Name (_HID, EisaId ("PNP0C0C"))
        }

        // Linux calls _EVT for the interrupt. Reading the register returns the pending events and clears them.
        Device (GED)
        {
            Name (_HID, "ACPI0013")
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate ()
            {
                Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive) { 9 }
            })
            OperationRegion (EREG, SystemIO, 0x0610, 4)
            Field (EREG, ByteAcc, NoLock, Preserve)
            {
                PEND, 8
            }
            Method (_EVT, 1, Serialized)
            {
                Local0 = PEND
                If (Local0 & 1)
                {
                    Notify (PWRB, 0x80)
                }
                If (Local0 & 2)
                {
                    LOOK (\_SB.PCI0)
                    LOOK (\_SB.PCI1)
                    LOOK (\_SB.PCI2)
                    LOOK (\_SB.PCI3)
                    LOOK (\_SB.PCI4)
                    LOOK (\_SB.PCI5)
                    LOOK (\_SB.PCI6)
                    LOOK (\_SB.PCI7)
                }
            }
        }
    }
}
