#!/usr/bin/env bash
# root.sh DIR COMMAND...: runs a command as process 1 of a machine of its own, made of this one: the same files (changes go to
# memory and are gone afterwards), its own processes, network (a loopback), mounts and control groups. There, /mnt/in is DIR
# and /mnt/changed holds what has been changed in the root. Needs root.
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin"

case ${PAGEGATE_STAGE:-group} in
group) # a control group of its own, removed at the end from outside
    at=$(mktemp -d)
    export PAGEGATE_STAGE=space
    exec unshare --mount --propagation private bash -c '
        set -euo pipefail
        at=$1; shift
        mount -t cgroup2 none "$at"
        group=$at/pagegate-test.$$
        mkdir "$group"
        code=0
        ( echo "$BASHPID" >"$group/cgroup.procs"
          exec unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child "$@" ) || code=$?
        find "$group" -depth -type d -exec rmdir {} +
        umount "$at"; rmdir "$at"
        exit "$code"' bash "$at" bash "$0" "$@"
    ;;
space)
    unset PAGEGATE_STAGE
    ;;
esac

in=$1
shift
ip link set lo up
work=$(mktemp -d)
mount -t tmpfs -o mode=755 none "$work"
mkdir "$work/changed" "$work/overlay" "$work/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/changed,workdir=$work/overlay" "$work/root"
root=$work/root

mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 none "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 none "$root/run"
mount -t tmpfs none "$root/tmp"
mount -t tmpfs -o mode=755 none "$root/mnt"
mount -t tmpfs -o mode=755 none "$root/dev"
mkdir "$root/dev/shm" "$root/dev/pts" "$root/mnt/in" "$root/mnt/changed"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t tmpfs none "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount --bind "$in" "$root/mnt/in"
mount --bind "$work/changed" "$root/mnt/changed"
rm -f "$root/usr/sbin/policy-rc.d" # here services do start
rm -rf "$root"/etc/systemd/system/*.wants # what this machine starts stays out

cd "$root"
mkdir mnt/old
pivot_root . mnt/old
umount -l /mnt/old
rmdir /mnt/old
rmdir "$work" 2>/dev/null || true
exec env -i container=pagegate PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"
