#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# RabbitMQ 4, which speaks AMQP 1.0 natively, in a chroot of Debian 13, to run the suite against.
# Needs root. Nothing of the machine's own packages is touched but debootstrap.
#
#   rabbitmq4.sh start [PORT]       the first call makes the chroot; prints the broker's process id
#   rabbitmq4.sh run [PORT] [...]   runs `whimbrel conformance` against it, with these arguments
#   rabbitmq4.sh stop
#
# RABBITMQ_ROOT names the chroot, WHIMBREL the binary. The broker is as its package leaves it, but
# for the port, its log, and that guest may log in from any address of the machine.
set -eu
root=${RABBITMQ_ROOT:-${TMPDIR:-/tmp}/whimbrel-rabbitmq4}
top=$(cd "$(dirname "$0")/../.." && pwd)
verb=${1:-}
port=${2:-5673}

make_chroot() {
  command -v debootstrap >/dev/null || apt-get install -y -qq debootstrap >/dev/null
  local mirror
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)
  debootstrap --variant=minbase trixie "$root" "$mirror" >/dev/null
  printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  mount_chroot
  chroot "$root" sh -c 'apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends rabbitmq-server' >/dev/null 2>&1
}

mount_chroot() {
  local each
  for each in proc dev; do
    mountpoint -q "$root/$each" || mount --bind "/$each" "$root/$each"
  done
}

# The process whose root is the chroot and which is the Erlang machine.
broker_pid() {
  local each
  for each in /proc/[0-9]*; do
    [ "$(readlink "$each/root" 2>/dev/null)" = "$root" ] || continue
    grep -qz beam.smp "$each/cmdline" && basename "$each" && return 0
  done
  return 1
}

case $verb in
  start)
    [ -x "$root/usr/lib/rabbitmq/bin/rabbitmq-server" ] || make_chroot
    mount_chroot
    cat > "$root/etc/rabbitmq/rabbitmq.conf" <<TEXT
listeners.tcp.1 = 127.0.0.1:$port
loopback_users = none
log.console = true
log.console.level = error
TEXT
    echo '[].' > "$root/etc/rabbitmq/enabled_plugins"
    setsid chroot "$root" su rabbitmq -s /bin/sh -c 'HOME=/var/lib/rabbitmq \
      RABBITMQ_NODENAME=rabbit@localhost exec /usr/lib/rabbitmq/bin/rabbitmq-server' \
      > "$root/server.log" 2>&1 &
    for _ in $(seq 600); do
      (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
      sleep 0.2
    done
    broker_pid | tee "$root/server.pid"
    ;;
  run)
    shift $(($# > 2 ? 2 : $#))
    # /queue/NAME declares a classic queue when a link is attached to it.
    "${WHIMBREL:-$top/build/release/whimbrel}" conformance \
      "amqp://guest:guest@127.0.0.1:$port" --address '/queue/conformance-{}' "$@"
    ;;
  stop)
    [ ! -f "$root/server.pid" ] || { kill "$(cat "$root/server.pid")" && rm "$root/server.pid"; }
    ;;
  *)
    sed -n '3,12p' "$0" | cut -c3-
    exit 2
    ;;
esac
