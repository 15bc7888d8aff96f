#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The first command of the README on a machine that has nothing: a chroot with Debian's minimal
# base. How long until the broker listens, and do the clients' shipped examples work against it?
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=broker/packages.sh
. "$top/broker/packages.sh"

usage() {
  cat <<'TEXT'
usage: tests/fresh/run.sh [--base FILE.tar] [--keep]

As root: makes a chroot with Debian 12's minimal base, clones the committed tree
into it, runs ./broker/run.sh there and waits for `listening on`, at most ten
minutes, then runs the example programs of Debian's Proton packages and of rhea.
The machine's own apt and npm settings are used inside. The last line is
`N passed, N failed`.

  --base FILE  keep the minimal base in this file, or take it from there
  --keep       leave the chroot behind
TEXT
}

limit=600 base='' keep=''
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --base) base=${2-}; shift ;;
    --keep) keep=yes ;;
    *) die "unknown argument: $1; see --help" ;;
  esac
  shift
done
[ "$(id -u)" -eq 0 ] || die "only root can make a chroot"
require_packages debootstrap git

scratch=$(mktemp -d "${TMPDIR:-/tmp}/whimbrel-fresh.XXXXXX")
root=$scratch/root
broker_pid=
cleanup() {
  [ -z "$broker_pid" ] || kill -9 "$broker_pid" 2>/dev/null || true
  umount -l "$root/proc" "$root/dev" 2>/dev/null || true
  if [ -n "$keep" ]; then say "kept: $root"; else rm -rf --one-file-system "$scratch"; fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

passed=0 failed=0
result() {
  if [ "$1" = ok ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  printf 'case %s %s\n' "$1" "$2"
}
enter=(chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C)
inside() { "${enter[@]}" "$@"; }

if [ -n "$base" ] && [ -f "$base" ]; then
  mkdir -p "$root"
  tar -C "$root" -xf "$base"
else
  say "making the minimal base"
  debootstrap --variant=minbase bookworm "$root" >"$scratch/debootstrap.log" 2>&1 || {
    tail -n 5 "$scratch/debootstrap.log" >&2
    die "debootstrap failed"
  }
  [ -z "$base" ] || tar -C "$root" -cf "$base" .
fi
for each in /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/apt.conf.d /etc/resolv.conf \
  /etc/npmrc /root/.npmrc; do
  [ -e "$each" ] || continue
  rm -rf "${root:?}$each"
  cp -rL "$each" "$root$each"
done
echo '127.0.0.1 localhost' >"$root/etc/hosts"  # every machine has it, a bare chroot does not
git clone -q "$top" "$root/whimbrel"
[ ! -d /usr/local/share/ca-certificates ] ||
  cp -r /usr/local/share/ca-certificates "$root/usr/local/share/"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --make-rslave "$root/dev"

say "running ./broker/run.sh"
begin=$SECONDS
# Loopback is shared with this machine, whose port 5672 may be taken; the examples below use it in a
# network namespace of their own.
: >"$scratch/broker.log"
# Not by `inside`: the signal is for the broker, not for a shell of ours around it.
"${enter[@]}" /whimbrel/broker/run.sh --listen 127.0.0.1:0 --data /tmp/data \
  >"$scratch/broker.log" 2>&1 &
broker_pid=$!
while ! grep -q 'listening on' "$scratch/broker.log"; do
  if ! kill -0 "$broker_pid" 2>/dev/null || [ $((SECONDS - begin)) -gt $limit ]; then
    tail -n 15 "$scratch/broker.log" >&2
    break
  fi
  sleep 1
done
took=$((SECONDS - begin))
if grep -q 'listening on' "$scratch/broker.log"; then
  result ok "./broker/run.sh listens after $took s, packages and build included"
else
  result FAIL "./broker/run.sh does not listen after $took s"
fi
kill "$broker_pid" 2>/dev/null || true
status=0
wait "$broker_pid" || status=$?
broker_pid=
if [ "$status" -eq 0 ]; then result ok "SIGTERM ends it with exit code 0"
else result FAIL "SIGTERM ends it with exit code $status"; fi
if inside /whimbrel/broker/run.sh --version >"$scratch/version" 2>"$scratch/second" &&
  [ ! -s "$scratch/second" ]; then
  result ok "a second run has nothing to do and says nothing: $(cat "$scratch/version")"
else
  result FAIL "a second run: $(tail -n 3 "$scratch/second")"
fi

say "installing the clients"
clients="${test_packages[*]} nodejs npm iproute2 ca-certificates"
# shellcheck disable=SC2086
inside apt-get -q -y --no-install-recommends install $clients >"$scratch/apt.log" 2>&1 ||
  die "apt-get failed: $(tail -n 3 "$scratch/apt.log")"
say "running their examples"
inside /whimbrel/tests/interop/run.sh --broker /whimbrel/build/release/whimbrel \
  --clients examples 2>&1 | tee "$scratch/examples.log" || true
sum=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$scratch/examples.log" | tail -n 1)
if [[ $sum =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
  passed=$((passed + BASH_REMATCH[1]))
  failed=$((failed + BASH_REMATCH[2]))
else
  result FAIL "the examples did not run to their end"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
