// SPDX-License-Identifier: Apache-2.0
//
// The VM generation ID: a guest that sees another one than before has been copied, and must not repeat its random numbers.
// acpi.c replaces the value of VGIA. The names are those of Microsoft's specification "Virtual Machine Generation ID".

DefinitionBlock ("", "SSDT", 2, "PMVM  ", "PMVMVGID", 1)
{
    Name (VGIA, 0xA5A5A5A5A5A5A5A0)  // guest-physical address of its 16 bytes

    Scope (\_SB)
    {
        Device (VGEN)
        {
            Name (_HID, "PMVM0001")
            Name (_CID, Package () { "VM_Gen_Counter", "VMGENCTR" })
            Name (_DDN, "VM_Gen_Counter")

            Method (ADDR, 0, Serialized)
            {
                Local0 = Package (2) { 0, 0 }
                Local0[0] = VGIA & 0xFFFFFFFF
                Local0[1] = VGIA >> 32
                Return (Local0)
            }
        }
    }
}
