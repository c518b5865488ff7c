// SPDX-License-Identifier: Apache-2.0
//
// The devices that a guest learns of through ACPI: PCI root, serial port, reserved ranges, events.
// The addresses, ports and lines are those of memory_map.h; acpi_test compares them.

// A slot that takes devices while the guest runs. Linux lets a device go by itself when _EJ0 is there, and
// tells by _OST what became of it.
#define SLOT(name, number) \
    Device (name) \
    { \
        Name (_ADR, number << 16) \
        Name (_SUN, number) \
        Method (_EJ0, 1, NotSerialized) { EJCT (number) } \
        Method (_OST, 3, NotSerialized) { DONE (number, Arg0, Arg1) } \
    }
#define TELL(name, number) \
    If (Arg0 & (1 << number)) { Notify (name, Arg1) }

DefinitionBlock ("", "DSDT", 2, "PMVM  ", "PMVM    ", 1)
{
    // What is known only when the machine is built. acpi.c finds each of these names and replaces its value.
    Name (M64B, 0xA5A5A5A5A5A5A5A0)  // 64-bit PCI window: first byte
    Name (M64S, 0xA5A5A5A5A5A5A5A1)  // and size; 0: there is none

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

            // Hotplug: which slots have news, and the answers. Reading forgets: pci_hotplug.h.
            OperationRegion (HREG, SystemIO, 0xAE00, 0x18)
            Field (HREG, DWordAcc, NoLock, WriteAsZeros)
            {
                UPSL, 32,
                DNSL, 32,
                EJSL, 32,
                OSTS, 32
            }

            Method (EJCT, 1, Serialized)
            {
                EJSL = 1 << Arg0
            }

            // Only what concerns an eject request of ours (3): not what the guest does by itself (0x103).
            Method (DONE, 3, Serialized)
            {
                If (Arg1 == 3)
                {
                    OSTS = Arg0 | (Arg1 << 8) | ((Arg2 & 0xFF) << 16)
                }
            }

            SLOT (S01_, 1)
            SLOT (S02_, 2)
            SLOT (S03_, 3)
            SLOT (S04_, 4)
            SLOT (S05_, 5)
            SLOT (S06_, 6)
            SLOT (S07_, 7)
            SLOT (S08_, 8)
            SLOT (S09_, 9)
            SLOT (S0A_, 10)
            SLOT (S0B_, 11)
            SLOT (S0C_, 12)
            SLOT (S0D_, 13)
            SLOT (S0E_, 14)
            SLOT (S0F_, 15)
            SLOT (S10_, 16)
            SLOT (S11_, 17)
            SLOT (S12_, 18)
            SLOT (S13_, 19)
            SLOT (S14_, 20)
            SLOT (S15_, 21)
            SLOT (S16_, 22)
            SLOT (S17_, 23)
            SLOT (S18_, 24)
            SLOT (S19_, 25)
            SLOT (S1A_, 26)
            SLOT (S1B_, 27)
            SLOT (S1C_, 28)
            SLOT (S1D_, 29)
            SLOT (S1E_, 30)
            SLOT (S1F_, 31)

            // Notifies the slots in the mask Arg0 with the value Arg1: 1 is device check, 3 eject request.
            Method (NEWS, 2, Serialized)
            {
                TELL (S01_, 1)
                TELL (S02_, 2)
                TELL (S03_, 3)
                TELL (S04_, 4)
                TELL (S05_, 5)
                TELL (S06_, 6)
                TELL (S07_, 7)
                TELL (S08_, 8)
                TELL (S09_, 9)
                TELL (S0A_, 10)
                TELL (S0B_, 11)
                TELL (S0C_, 12)
                TELL (S0D_, 13)
                TELL (S0E_, 14)
                TELL (S0F_, 15)
                TELL (S10_, 16)
                TELL (S11_, 17)
                TELL (S12_, 18)
                TELL (S13_, 19)
                TELL (S14_, 20)
                TELL (S15_, 21)
                TELL (S16_, 22)
                TELL (S17_, 23)
                TELL (S18_, 24)
                TELL (S19_, 25)
                TELL (S1A_, 26)
                TELL (S1B_, 27)
                TELL (S1C_, 28)
                TELL (S1D_, 29)
                TELL (S1E_, 30)
                TELL (S1F_, 31)
            }

            Method (PCNT, 0, Serialized)
            {
                NEWS (UPSL, 1)
                NEWS (DNSL, 3)
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

        Device (PWRB)
        {
            Name (_HID, EisaId ("PNP0C0C"))
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
            Method (_EVT, 1, Serialized)
            {
                Local0 = PEND
                If (Local0 & 1)
                {
                    Notify (PWRB, 0x80)
                }
                If (Local0 & 2)
                {
                    ^^PCI0.PCNT ()
                }
            }
        }
    }
}
