// SPDX-License-Identifier: Apache-2.0
//
// One PCI root bus with its host bridge and its slots. acpi.c makes a table of this for each bus of the machine: it puts the
// bus's number into the name PCIX, finds the names whose values are 0xA5..., and replaces those values.

// A slot that takes devices while the guest runs. Linux lets a device go by itself when _EJ0 is there, and
// tells by _OST what became of it.
#define SLOT(name, number) \
    Device (name) \
    { \
        Name (_ADR, number << 16) \
        Method (_SUN, 0, NotSerialized) { Return ((_BBN << 5) | number) } \
        Method (_EJ0, 1, NotSerialized) { EJCT (number) } \
        Method (_OST, 3, NotSerialized) { DONE (number, Arg0, Arg1) } \
    }
// A device has one function, with INTA at most: on line 16 + slot % 8 of the I/O APIC.
#define INTA(number) Package () { (number << 16) | 0xFFFF, 0, 0, 16 + (number & 7) }
#define TELL(name, number) \
    If (Arg0 & (1 << number)) { Notify (name, Arg1) }

DefinitionBlock ("", "SSDT", 2, "PMVM  ", "PMVMPCI ", 1)
{
    Scope (\_SB)
    {
        Device (PCIX)
        {
            Name (_UID, 0xA5A5A5A5A5A5A5A0)  // number of the bus
            Name (_BBN, 0xA5A5A5A5A5A5A5A1)  // the same
            Name (HPRT, 0xA5A5A5A5A5A5A5A2)  // port of its hotplug registers
            Name (M32B, 0xA5A5A5A5A5A5A5A3)  // its share of the 32-bit PCI window: first byte
            Name (M32S, 0xA5A5A5A5A5A5A5A4)  // and size
            Name (M64B, 0xA5A5A5A5A5A5A5A5)  // its share of the 64-bit PCI window: first byte
            Name (M64S, 0xA5A5A5A5A5A5A5A6)  // and size; 0: there is none

            Name (_HID, EisaId ("PNP0A08"))
            Name (_CID, EisaId ("PNP0A03"))
            Name (_SEG, 0)

            Name (LOW, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0, 0, 1, , , NUMB)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                             0, 0, 0, 0, 0, , , W32)
            })

            // I/O ports are bus 0's: no device here has any, and two buses cannot have the same.
            Name (PORT, ResourceTemplate ()
            {
                IO (Decode16, 0x0CF8, 0x0CF8, 1, 8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                        0, 0x1000, 0xFFFF, 0, 0xF000)
            })

            Name (HIGH, ResourceTemplate ()
            {
                QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                             0, 0, 0, 0, 0, , , W64)
            })

            Method (_CRS, 0, Serialized)
            {
                CreateWordField (LOW, ^NUMB._MIN, BUSF)
                CreateWordField (LOW, ^NUMB._MAX, BUSL)
                BUSF = _BBN
                BUSL = _BBN
                CreateDWordField (LOW, ^W32._MIN, FST3)
                CreateDWordField (LOW, ^W32._MAX, LST3)
                CreateDWordField (LOW, ^W32._LEN, SIZ3)
                FST3 = M32B
                LST3 = M32B + M32S - 1
                SIZ3 = M32S
                Local0 = LOW
                If (_BBN == 0)
                {
                    Local0 = ConcatenateResTemplate (Local0, PORT)
                }
                If (M64S == 0)
                {
                    Return (Local0)
                }

                CreateQWordField (HIGH, ^W64._MIN, FST6)
                CreateQWordField (HIGH, ^W64._MAX, LST6)
                CreateQWordField (HIGH, ^W64._LEN, SIZ6)
                FST6 = M64B
                LST6 = M64B + M64S - 1
                SIZ6 = M64S
                Return (ConcatenateResTemplate (Local0, HIGH))
            }

            // Not a method that computes it: Linux asks for the whole table whenever a driver takes a device or leaves it.
            // Slot 0 is the host bridge, which interrupts nobody.
            Name (_PRT, Package ()
            {
                INTA (1), INTA (2), INTA (3), INTA (4),
                INTA (5), INTA (6), INTA (7), INTA (8),
                INTA (9), INTA (10), INTA (11), INTA (12),
                INTA (13), INTA (14), INTA (15), INTA (16),
                INTA (17), INTA (18), INTA (19), INTA (20),
                INTA (21), INTA (22), INTA (23), INTA (24),
                INTA (25), INTA (26), INTA (27), INTA (28),
                INTA (29), INTA (30), INTA (31)
            })

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
            OperationRegion (HREG, SystemIO, HPRT, 0x10)
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

            // Notifies the slots in the mask Arg0 with the value Arg1: 0 is bus check, 3 eject request.
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
                // Not device check, 1: when Linux finds something for that, it goes on to look at every slot of the bus.
                NEWS (UPSL, 0)
                NEWS (DNSL, 3)
            }
        }
    }
}
