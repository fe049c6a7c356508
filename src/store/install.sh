#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Runs in the new root: installs the packages of /iso and makes a system of them. /iso/settings holds what differs between
# images: first and rest (packages to install before all others, and after), their numbers, suite, suites (and its updates),
# options (of its sources), mirror, security.
# Variables come from the settings; lists of names are words on purpose.
# shellcheck disable=SC2046,SC2154
set -e
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true
export INITRD=No SYSTEMD_OFFLINE=1
# shellcheck source=/dev/null
. /iso/settings

say() { echo "@cosm $*" >/dev/console; }

# dpkg's own account of its doings becomes progress: "processing: install: NAME".
watch() {
    count=0
    while read -r word what name; do
        [ "$word $what" = "processing: $2:" ] || continue
        say "stage $1 $count $3 ${name%%:*}"
        count=$((count + 1))
    done
}

debs() { for name in $1; do echo "/iso/$name.deb"; done; }

# stage, dpkg's word for what it does, of how many packages, arguments of dpkg.
run_dpkg() {
    mkfifo /tmp/status
    watch "$1" "$2" "$3" </tmp/status &
    shift 3
    dpkg --force-unsafe-io --force-confold --force-depends --status-fd 9 "$@" 9>/tmp/status
    wait $!
    rm /tmp/status
}

before_packages() {
    cp /usr/share/base-passwd/passwd.master /etc/passwd
    cp /usr/share/base-passwd/group.master /etc/group
    touch /var/lib/dpkg/status /var/lib/dpkg/available
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    echo "/dev/vda1 / ext4 noatime 0 1" >/etc/fstab
    # Keys are each VM's own, and take long to make.
    mkdir -p /etc/ssh
    for kind in rsa ecdsa ed25519; do touch /etc/ssh/ssh_host_${kind}_key; done
    # The drivers that this board's disk needs, not all that there are.
    mkdir -p /etc/initramfs-tools/conf.d
    printf 'MODULES=list\nCOMPRESS=lz4\n' >/etc/initramfs-tools/conf.d/cosm
    printf 'virtio_mmio\nvirtio_blk\next4\nqemu_fw_cfg\nrtc-goldfish\nvmw_vsock_virtio_transport\n' >/etc/initramfs-tools/modules
    # They are loaded by name, so what would find them by itself only takes time.
    for file in hooks scripts/init-top scripts/init-bottom; do
        dpkg-divert --quiet --local --no-rename --divert "/usr/share/cosm/$file-udev" --add "/usr/share/initramfs-tools/$file/udev"
        mkdir -p "/usr/share/cosm/${file%/*}"
    done
    mkdir -p /etc/initramfs-tools/scripts/init-bottom
    cat >/etc/initramfs-tools/scripts/init-bottom/cosm <<'EOF'
#!/bin/sh
# udev's script would do this: the devices go along to the new root.
[ "$1" = prereqs ] || mount -n -o move /dev "$rootmnt/dev"
EOF
    chmod 755 /etc/initramfs-tools/scripts/init-bottom/cosm
    cat >/etc/default/u-boot <<EOF
U_BOOT_ROOT="root=/dev/vda1 rootfstype=ext4"
U_BOOT_PARAMETERS="rw console=ttyS0 loglevel=4 audit=0"
U_BOOT_PROMPT="0"
U_BOOT_TIMEOUT="1"
# The device tree is the board's.
U_BOOT_FDT_DIR="/nonexistent-"
EOF
}

write_sources() {
    cat >/etc/apt/sources.list.d/debian.sources <<EOF
Types: deb
URIs: $mirror
Suites: $suites
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
$options
EOF
    [ -z "$security" ] || cat >>/etc/apt/sources.list.d/debian.sources <<EOF
Types: deb
URIs: $security
Suites: $suite-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
$options
EOF
    rm -f /etc/apt/sources.list
}

# What a VM is told from outside becomes its own at its first boot, and again if its disk was copied for another.
write_first_boot() {
    mkdir -p /usr/lib/cosm
    cp /iso/firstboot /usr/lib/cosm/first-boot
    chmod 755 /usr/lib/cosm/first-boot
    cat >/etc/systemd/system/cosm-first-boot.service <<EOF
[Unit]
Description=Make this machine its own: user, keys, size of the disk
DefaultDependencies=no
After=systemd-remount-fs.service systemd-tmpfiles-setup-dev-early.service
Before=ssh.service sshd-vsock.socket systemd-user-sessions.service serial-getty@ttyS0.service
Wants=systemd-remount-fs.service

[Service]
Type=oneshot
RemainAfterExit=yes
ImportCredential=cosm.*
ExecStart=/usr/lib/cosm/first-boot

[Install]
WantedBy=sysinit.target
EOF
    # Who has the console of a VM has its disk, too: a password would protect nothing.
    cat >/usr/lib/cosm/getty <<'EOF'
#!/bin/sh
user=$(cat /var/lib/cosm/user 2>/dev/null) && set -- --autologin "$user" "$@"
exec /sbin/agetty "$@"
EOF
    chmod 755 /usr/lib/cosm/getty
    mkdir -p /etc/systemd/system/serial-getty@.service.d
    cat >/etc/systemd/system/serial-getty@.service.d/cosm.conf <<'EOF'
[Service]
ExecStart=
ExecStart=-/usr/lib/cosm/getty --noissue --keep-baud 115200,57600,38400,9600 - $TERM
EOF
}

# Nobody asked for what these do, and an emulated machine feels it.
leave_out() {
    for unit in systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer e2scrub_reap.service systemd-pstore.service getty@tty1.service; do
        systemctl disable $unit || true
    done
    # Graphics and EFI variables, which this board has not.
    systemctl mask sshd-keygen.service modprobe@drm.service modprobe@efi_pstore.service
    # systemd-networkd asks for radio, whose driver takes a second to load.
    echo "blacklist cfg80211" >/etc/modprobe.d/cosm.conf
    # Half of the events at the start are about drivers, and virtual terminals that nobody sees.
    mkdir -p /etc/systemd/system/systemd-udev-trigger.service.d
    set -- --type=devices --action=add
    for kind in tty vc devlink memory cpu clockevents workqueue; do set -- "$@" "--subsystem-nomatch=$kind"; done
    cat >/etc/systemd/system/systemd-udev-trigger.service.d/cosm.conf <<EOF
[Service]
ExecStart=
ExecStart=-udevadm trigger $* --prioritized-subsystem=block,net,input
ExecStart=-udevadm trigger --type=devices --action=add --sysname-match=ttyS* --sysname-match=hvc*
EOF
}

# Who stood still, or runs on a machine that slept, is told the time by virtio sockets.
write_clock() {
    cp /iso/clock /usr/lib/cosm/clock
    chmod 755 /usr/lib/cosm/clock
    cat >/etc/systemd/system/cosm-clock.socket <<EOF
[Unit]
Description=Let the host set the clock
ConditionPathExists=/dev/vsock

[Socket]
ListenStream=vsock::123
Accept=yes

[Install]
WantedBy=sockets.target
EOF
    cat >/etc/systemd/system/cosm-clock@.service <<EOF
[Unit]
Description=Set the clock
CollectMode=inactive-or-failed

[Service]
ExecStart=/usr/lib/cosm/clock
StandardInput=socket
StandardError=journal
EOF
}

after_packages() {
    write_sources
    write_first_boot
    write_clock
    leave_out
    cat >/etc/systemd/network/80-dhcp.network <<EOF
[Match]
Type=ether
[Network]
DHCP=yes
[DHCPv4]
UseHostname=no
[DHCPv6]
UseHostname=no
EOF
    systemctl enable cosm-first-boot.service cosm-clock.socket systemd-networkd.service
    echo LANG=C.UTF-8 >/etc/default/locale
    systemctl set-default multi-user.target
    passwd -l root
    while read -r name mode path; do install -D -m "$mode" "/iso/$name" "$path"; done </iso/copies
    if [ -e /iso/commands ]; then
        say "stage commands 0 0"
        sh -e /iso/commands
    fi
    say "stage kernel 0 0"
    unset INITRD
    update-initramfs -c -k all
    u-boot-update
    # What must not be the same in two machines.
    rm -f /usr/sbin/policy-rc.d /etc/ssh/ssh_host_* /etc/hostname /var/lib/dbus/machine-id /var/lib/systemd/random-seed
    rm -rf /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log /var/log/bootstrap.log /var/log/alternatives.log
    # Empty: drawn at the first boot, which need not look at each unit as an "uninitialized" one would.
    : >/etc/machine-id
    touch /etc/.updated /var/.updated
}

before_packages
run_dpkg essential install "$first_count" --install $(debs "$first")
run_dpkg unpack install "$rest_count" --unpack $(debs "$rest")
# Modules' dependencies take long, and a hart of their own: the kernel's package need not wait for them.
printf '#!/bin/sh\n' >/usr/local/sbin/depmod
chmod 755 /usr/local/sbin/depmod
PATH=/usr/local/sbin:$PATH
for modules in /lib/modules/*; do /usr/sbin/depmod "${modules##*/}"; done &
depmod=$!
run_dpkg configure configure "$rest_count" --configure -a
wait $depmod
rm /usr/local/sbin/depmod
after_packages
