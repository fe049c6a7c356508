#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Installs what one purpose needs and the machine lacks; says nothing when nothing is missing.
# Usage: tools/setup.sh build|run|metal|test|long|bench|lint ...
set -eu

build="meson ninja-build gcc libc6-dev libfdt-dev libslirp-dev zlib1g-dev libzstd-dev pkgconf python3"
run="$build ca-certificates debian-archive-keyring openssh-client"
cross="gcc-riscv64-linux-gnu libc6-dev-riscv64-cross"
metal="$run gcc-riscv64-linux-gnu qemu-system-misc"
lint="clang-format clang-tidy shellcheck"
test="$run $cross $lint clang libclang-rt-14-dev llvm binutils device-tree-compiler e2fsprogs
    gdb-multiarch iproute2 tshark qemu-user qemu-system-misc qemu-utils libnbd-bin nbdkit expect python3-z3"
long="$test dpdk-dev iperf3"
bench="$run $cross qemu-user qemu-system-misc e2fsprogs"

wanted=
for purpose in "$@"; do
    case $purpose in
    build) wanted="$wanted $build" ;;
    run) wanted="$wanted $run" ;;
    metal) wanted="$wanted $metal" ;;
    test) wanted="$wanted $test" ;;
    long) wanted="$wanted $long" ;;
    bench) wanted="$wanted $bench" ;;
    lint) wanted="$wanted $build $lint" ;;
    *) echo "setup: '$purpose' is none of build, run, metal, test, long, bench, lint" >&2 && exit 2 ;;
    esac
done

if ! command -v dpkg-query >/dev/null; then
    echo "setup: this is no Debian, so nothing is installed; needed (Debian's names):$wanted" >&2
    exit 0
fi

# One query for all; an unknown name makes dpkg-query fail, which here only means that it is missing.
# shellcheck disable=SC2016,SC2086
have=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' $wanted 2>/dev/null | sed -n 's/^ii //p')
missing=
for package in $wanted; do
    case " $missing " in *" $package "*) continue ;; esac
    printf '%s\n' "$have" | grep -qxF "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

command="apt-get install --no-install-recommends -y$missing"
as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: packages are missing and you are not root; as root, run: apt-get update && $command" >&2
        exit 1
    fi
    as_root="sudo env DEBIAN_FRONTEND=noninteractive"
fi
export DEBIAN_FRONTEND=noninteractive

echo "Installing:$missing"
quiet=-q
[ -t 1 ] || quiet=-qq
# The package list may be absent or too old to install from: then fetch it, and only then.
# shellcheck disable=SC2086
if ! apt-get -qq -s install --no-install-recommends $missing >/dev/null 2>&1; then
    $as_root apt-get $quiet update
    $as_root $command $quiet -o Dpkg::Use-Pty=0
elif ! $as_root $command $quiet -o Dpkg::Use-Pty=0; then
    $as_root apt-get $quiet update
    $as_root $command $quiet -o Dpkg::Use-Pty=0
fi
