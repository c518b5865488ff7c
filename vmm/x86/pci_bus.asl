// SPDX-License-Identifier: Apache-2.0
//
// One PCI root bus with its host bridge and its slots. acpi.c makes a table of this for each bus: it puts
// the bus's number into the name PCIX, finds the names whose values are 0xA5..., and replaces those values.

// A slot with hotplug. With _EJ0 Linux ejects a device on request, and reports the result by _OST.
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
#define NOTIFY(name, number) \
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

            // I/O ports are bus 0's: no device here has any, and two buses cannot share them.
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

            // Not a method that computes it: Linux reads the whole table whenever a driver is bound or unbound.
            // Slot 0 is the host bridge, which has no interrupt.
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

            // The guest gets the features that it requests, except native hotplug (bits 0 and 1): ACPI does that.
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

            // Hotplug: the slots with pending events, and the answers. Reading clears the events: pci_hotplug.h.
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

            // Only the result of our own eject request (3), not of an eject that the guest started (0x103).
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
                NOTIFY (S01_, 1)
                NOTIFY (S02_, 2)
                NOTIFY (S03_, 3)
                NOTIFY (S04_, 4)
                NOTIFY (S05_, 5)
                NOTIFY (S06_, 6)
                NOTIFY (S07_, 7)
                NOTIFY (S08_, 8)
                NOTIFY (S09_, 9)
                NOTIFY (S0A_, 10)
                NOTIFY (S0B_, 11)
                NOTIFY (S0C_, 12)
                NOTIFY (S0D_, 13)
                NOTIFY (S0E_, 14)
                NOTIFY (S0F_, 15)
                NOTIFY (S10_, 16)
                NOTIFY (S11_, 17)
                NOTIFY (S12_, 18)
                NOTIFY (S13_, 19)
                NOTIFY (S14_, 20)
                NOTIFY (S15_, 21)
                NOTIFY (S16_, 22)
                NOTIFY (S17_, 23)
                NOTIFY (S18_, 24)
                NOTIFY (S19_, 25)
                NOTIFY (S1A_, 26)
                NOTIFY (S1B_, 27)
                NOTIFY (S1C_, 28)
                NOTIFY (S1D_, 29)
                NOTIFY (S1E_, 30)
                NOTIFY (S1F_, 31)
            }

            Method (PCNT, 0, Serialized)
            {
                // Not device check, 1: when Linux finds a device for it, it then scans every slot of the bus.
                NEWS (UPSL, 0)
                NEWS (DNSL, 3)
            }
        }
    }
}
