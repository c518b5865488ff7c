// SPDX-License-Identifier: Apache-2.0
//
// The devices that a guest learns of through ACPI: PCI root, serial port, reserved ranges, events.
// The addresses, ports and lines are those of memory_map.h; acpi_test compares them.

DefinitionBlock ("", "DSDT", 2, "PMVM  ", "PMVM    ", 1)
{
    // What is known only when the machine is built. acpi.c finds each of these names and replaces its value.
    Name (M64B, 0xA5A5A5A5A5A5A5A0)  // 64-bit PCI window: first byte
    Name (M64S, 0xA5A5A5A5A5A5A5A1)  // and size; 0: there is none
    Name (HGED, 0xA5A5A5A5A5A5A5A2)  // not 0: the machine has the generic event device

    Name (\_S5, Package () { 5, 0, 0, 0 })

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A08"))
            Name (_CID, EisaId ("PNP0A03"))
            Name (_UID, 0)
            Name (_SEG, 0)
            Name (_BBN, 0)

            Name (LOW, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0, 0, 1)
                IO (Decode16, 0x0CF8, 0x0CF8, 1, 8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                        0, 0x1000, 0xFFFF, 0, 0xF000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                             0, 0xC0000000, 0xDFFFFFFF, 0, 0x20000000)
            })

            Name (HIGH, ResourceTemplate ()
            {
                QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                             0, 0, 0, 0, 0, , , W64)
            })

            Method (_CRS, 0, Serialized)
            {
                If (M64S == 0)
                {
                    Return (LOW)
                }

                CreateQWordField (HIGH, ^W64._MIN, FRST)
                CreateQWordField (HIGH, ^W64._MAX, LAST)
                CreateQWordField (HIGH, ^W64._LEN, SIZE)
                FRST = M64B
                LAST = M64B + M64S - 1
                SIZE = M64S
                Return (ConcatenateResTemplate (LOW, HIGH))
            }

            // Pin p (0 is INTA) of device d is on line 16 + (d + p) % 8 of the I/O APIC.
            Method (_PRT, 0, NotSerialized)
            {
                Local0 = Package (128) {}
                Local1 = 0
                While (Local1 < 128)
                {
                    Local2 = Local1 >> 2
                    Local3 = Local1 & 3
                    Local4 = Package (4) { 0, 0, 0, 0 }
                    Local4 [0] = (Local2 << 16) | 0xFFFF
                    Local4 [1] = Local3
                    Local4 [3] = 16 + ((Local2 + Local3) & 7)
                    Local0 [Local1] = Local4
                    Local1++
                }
                Return (Local0)
            }

            // The guest may have what it asks for, but not native hotplug (bits 0 and 1): that is ACPI's here.
            Method (_OSC, 4, NotSerialized)
            {
                CreateDWordField (Arg3, 0, CDW1)
                If (Arg0 != ToUUID ("33DB4D5B-1FF7-401C-9657-7441C03DD766"))
                {
                    CDW1 |= 0x04  // unrecognized UUID
                    Return (Arg3)
                }

                CreateDWordField (Arg3, 8, CDW3)
                Local0 = CDW3 & 0x1C
                If (Arg1 != 1)
                {
                    CDW1 |= 0x08  // unknown revision
                }
                If (CDW3 != Local0)
                {
                    CDW1 |= 0x10  // some bits were masked
                }
                CDW3 = Local0
                Return (Arg3)
            }
        }

        // What the machine itself decodes, so that nothing else is put there.
        Device (MBRD)
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, 0xE0000000, 0x00100000)  // ECAM
                IO (Decode16, 0x0600, 0x0600, 1, 4)                // sleep control and status, reset
                IO (Decode16, 0x0610, 0x0610, 1, 4)                // pending events
                IO (Decode16, 0xAE00, 0xAE00, 1, 0x18)             // PCI hotplug
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

        Method (GSTA, 0, NotSerialized)
        {
            If (HGED == 0)
            {
                Return (0)
            }
            Return (0x0F)
        }

        Device (PWRB)
        {
            Name (_HID, EisaId ("PNP0C0C"))
            Method (_STA, 0, NotSerialized)
            {
                Return (GSTA ())
            }
        }

        // Linux calls _EVT when the interrupt comes; the register says what happened, and forgets it.
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
            Method (_STA, 0, NotSerialized)
            {
                Return (GSTA ())
            }
            Method (_EVT, 1, Serialized)
            {
                Local0 = PEND
                If (Local0 & 1)
                {
                    Notify (PWRB, 0x80)
                }
            }
        }
    }
}
