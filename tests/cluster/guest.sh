# The guest's whole work, without anybody at its console: reads what is on its persistent memory, checks the file
# system, and writes until its host ends. SPDX-License-Identifier: Apache-2.0
#
# pace: fast, or slow. A page of a replicated device can not be written while it is on its way to the other host. A guest
# that writes to one is stopped for that time, in the middle of the line that it prints, so that a report which came too
# early would leave too late to be noticed. So with a slow pace nothing is written for a while after a report.
set -e
mkdir /mnt/db
mount -t ext4 -o dax=always /dev/pmem0 /mnt/db
for file in grown one two; do
    path=/mnt/db/$file
    echo "found $file $([ ! -f $path ] && echo 0 || dax-tool check-records $path)"
done
umount /mnt/db
e2fsck -fn /dev/pmem0 || { echo "damaged $?"; exit 1; }
mount -t ext4 -o dax=always /dev/pmem0 /mnt/db
cd /mnt/db
for file in one two; do
    [ -f $file ] || dd if=/dev/zero of=$file bs=1M count=1 conv=fsync 2>/dev/null
done
echo checked
if [ "$pace" = fast ]; then
    dax-tool named-records grown 100000000 append &
    dax-tool named-records one 100000000 in-place &
    dax-tool named-records two 100000000 in-place &
    wait
fi
while sleep 0.5; do
    dax-tool named-records grown 1 append
    dax-tool named-records one 1 in-place
    sleep 0.5
    dax-tool named-records two 1 in-place
done
