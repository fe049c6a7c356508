#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The first program of the VM that makes an image: partition and file system on /dev/vda, packages from the ISO /dev/vdb.
#
# Lines that begin with "@cosm " are for the program outside: "@cosm stage NAME DONE TOTAL [WHAT]" and "@cosm failed TEXT".
# The finisher's status tells success from failure; whatever else ends the VM is a failure, too.
export PATH=/bin LC_ALL=C

say() { echo "@cosm $*" >/dev/console; }

# The test finisher: 0x5555 is success, 0x3333 failure with the status in the upper half.
finish() {
    sync
    if [ "$1" = 0 ]; then devmem 0x100000 32 0x5555; else devmem 0x100000 32 0x13333; fi
    sleep 60
}

fail() {
    say "failed $1"
    tail -n 20 /log >/dev/console
    finish 1
}

le32() { printf '\\%03o\\%03o\\%03o\\%03o' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)); }

# One bootable partition from 1 MiB on, by a master boot record: U-Boot, sfdisk and people all know what to do with that.
partition() {
    start=2048
    # shellcheck disable=SC2059
    {
        printf "\\200\\376\\377\\377\\203\\376\\377\\377$(le32 $start)$(le32 $(($(blockdev --getsz "$1") - start)))" |
            dd of="$1" bs=2 seek=223 conv=notrunc
        printf '\125\252' | dd of="$1" bs=2 seek=255 conv=notrunc
    }
    blockdev --rereadpt "$1"
}

/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec </dev/null >/log 2>&1
say "stage start 0 0"

modules=/lib/modules/$(uname -r)
find "$modules" -name '*.xz' -exec unxz {} +
depmod
for module in virtio_mmio virtio_blk crc32c_generic ext4 isofs; do modprobe "$module"; done
[ -b /dev/vdb ] || fail "the disks are missing"

# Without a journal until the end, and without waiting for the host's disk: an image that is not finished is thrown away.
partition /dev/vda
[ -b /dev/vda1 ] || fail "the disk could not be partitioned"
/sbin/mke2fs -q -F -t ext4 -O ^has_journal -E nodiscard -L cosm-root /dev/vda1 || fail "no file system could be made"
mount -t ext4 -o noatime,nobarrier /dev/vda1 /mnt || fail "the new file system cannot be mounted"
mount -o ro /dev/vdb /iso || fail "the packages cannot be read"
# shellcheck source=/dev/null
. /iso/settings

n=0
# shellcheck disable=SC2154
for deb in $first; do
    say "stage essential $n $first_count"
    ar p "/iso/$deb.deb" data.tar | tar -x -f - -C /mnt || fail "$deb.deb cannot be unpacked"
    n=$((n + 1))
done

mount -t proc proc /mnt/proc
mount -t sysfs sys /mnt/sys
mount -t devtmpfs dev /mnt/dev
mkdir -p /mnt/dev/pts /mnt/iso
mount -t devpts devpts /mnt/dev/pts
mount -t tmpfs tmpfs /mnt/tmp
mount -t tmpfs tmpfs /mnt/run
mount -o bind /iso /mnt/iso
chroot /mnt /bin/sh /iso/install >/log 2>&1 || fail "the packages could not be installed"
umount /mnt/iso /mnt/run /mnt/tmp /mnt/dev/pts /mnt/dev /mnt/sys /mnt/proc
rmdir /mnt/iso

say "stage seal 0 0"
fstrim /mnt
umount /mnt || fail "the new file system cannot be unmounted"
/sbin/tune2fs -O has_journal -J size=32 /dev/vda1 || fail "the journal could not be made"
finish 0
