#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A VM's own: its user, its keys, the size of its disk. Runs early at each boot; does something where the VM's number,
# the credential cosm.instance, is not the one that it was done for, so also where a disk was copied for another VM.
set -e
export PATH=/usr/sbin:/usr/bin
told=${CREDENTIALS_DIRECTORY:-/nonexistent}
done_for=/var/lib/cosm/instance

grow() {
    [ "$(cat /sys/block/vda/vda1/start)" ] || return 0
    free=$(($(cat /sys/block/vda/size) - $(cat /sys/block/vda/vda1/start) - $(cat /sys/block/vda/vda1/size)))
    [ $free -gt 4096 ] || return 0
    echo ", +" | sfdisk --quiet --no-reread --force --partno 1 /dev/vda
    partx --update --nr 1 /dev/vda
    resize2fs /dev/vda1
}

# For whom, the keys.
authorize() {
    home=$(getent passwd "$1" | cut -d: -f6)
    mkdir -p "$home/.ssh"
    chmod 700 "$home/.ssh"
    cp "$told/cosm.keys" "$home/.ssh/authorized_keys"
    chmod 600 "$home/.ssh/authorized_keys"
    chown -R "$1:" "$home/.ssh"
}

make_user() {
    id "$1" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash --groups sudo,adm,users "$1"
    echo "$1 ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/cosm
    chmod 440 /etc/sudoers.d/cosm
    authorize "$1"
    echo "$1" >/var/lib/cosm/user
}

# The machine outside may reach its mirror by a proxy only, and this one then, too; that may change from start to start.
tell_apt() {
    settings=/etc/apt/apt.conf.d/50cosm-proxy
    rm -f $settings
    for scheme in http https; do
        [ ! -e "$told/cosm.$scheme-proxy" ] ||
            echo "Acquire::$scheme::Proxy \"$(cat "$told/cosm.$scheme-proxy")\";" >>$settings
    done
}

tell_apt || echo "apt could not be told of a proxy" >&2
grow || echo "the disk could not be grown" >&2
# Without a word from outside it still can be logged into by whoever gave it keys.
ls /etc/ssh/ssh_host_*_key >/dev/null 2>&1 || [ -e "$told/cosm.hostkey" ] || ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key
[ -e "$told/cosm.instance" ] || exit 0
[ ! -e $done_for ] || ! cmp -s "$told/cosm.instance" $done_for || exit 0
if [ -e $done_for ]; then
    rm -f /etc/machine-id /var/lib/systemd/random-seed /etc/ssh/ssh_host_*
    systemd-machine-id-setup
fi
if [ -e "$told/cosm.hostkey" ]; then
    cp "$told/cosm.hostkey" /etc/ssh/ssh_host_ed25519_key
    chmod 600 /etc/ssh/ssh_host_ed25519_key
    ssh-keygen -y -f /etc/ssh/ssh_host_ed25519_key >/etc/ssh/ssh_host_ed25519_key.pub
fi
[ ! -e "$told/cosm.keys" ] || authorize root
mkdir -p /var/lib/cosm
[ ! -e "$told/cosm.user" ] || make_user "$(cat "$told/cosm.user")"
cp "$told/cosm.instance" $done_for
