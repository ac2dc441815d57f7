#!/bin/sh
# Runs a command where a systemd answers on the system bus: its own mounts, processes, network and user instance of systemd, all
# gone afterwards. Exits with 77 where that is not possible.
if [ "$EMBER_IN_PRIVATE_SYSTEMD" != 1 ]; then
  for program in unshare ip dbus-daemon systemctl /lib/systemd/systemd; do
    command -v $program >/dev/null || { echo "no $program here"; exit 77; }
  done
  unshare --pid --fork --net --mount --cgroup --mount-proc true || exit 77
  EMBER_IN_PRIVATE_SYSTEMD=1 exec unshare --pid --fork --net --mount --cgroup --mount-proc --kill-child=KILL "$0" "$@"
fi
mount --make-rprivate /
ip link set lo up
mount -t tmpfs none /run && mkdir -p /run/systemd/system /run/user || exit 77
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup || exit 77
export XDG_RUNTIME_DIR=/run/user HOME=/run/user DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/bus
export DBUS_SYSTEM_BUS_ADDRESS=$DBUS_SESSION_BUS_ADDRESS EMBER_UNIT_DIRECTORY=/run/user/systemd/user
# Process ids in the names of files mean nothing to the world outside.
export TMPDIR=/run/tmp
chmod 700 /run/user
mkdir -p $EMBER_UNIT_DIRECTORY $TMPDIR
dbus-daemon --session --address=$DBUS_SESSION_BUS_ADDRESS --nofork --nopidfile >/dev/null 2>&1 &
/lib/systemd/systemd --user --unit=basic.target >/dev/null 2>&1 &
tries=0
until systemctl --user is-system-running --wait >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ $tries -lt 50 ] || { echo "systemd does not come up here"; exit 77; }
  sleep 0.1
done
"$@"
