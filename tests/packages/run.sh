#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` and the Debian packages bring, where they bring it, and whether it works
# there: on this machine below a prefix, and in a chroot with Debian's minimal base.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=broker/packages.sh
. "$top/broker/packages.sh"

usage() {
  cat <<'TEXT'
usage: tests/packages/run.sh [--base FILE.tar] [--keep] [--prefix-only]

As root: builds build/release and the Debian packages, installs below a prefix and,
from the packages, in a chroot with Debian 12's minimal base. In both places another
project finds the library, by CMake and by pkg-config, and sends a message through
the installed broker. The machine's own apt settings are used inside. The last line
is `N passed, N failed`.

  --base FILE    keep the minimal base in this file, or take it from there
  --keep         leave prefix, packages and chroot behind
  --prefix-only  no chroot; needs neither root nor debootstrap
TEXT
}

base='' keep='' prefix_only=''
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --base) base=${2-}; shift ;;
    --keep) keep=yes ;;
    --prefix-only) prefix_only=yes ;;
    *) die "unknown argument: $1; see --help" ;;
  esac
  shift
done
[ -n "$prefix_only" ] || [ "$(id -u)" -eq 0 ] || die "only root can make a chroot; see --help"
require_packages "${build_packages[@]}" pkg-config mandoc dpkg-dev file
[ -n "$prefix_only" ] || require_packages debootstrap

scratch=$(mktemp -d "${TMPDIR:-/tmp}/whimbrel-packages.XXXXXX")
prefix=$scratch/prefix root=$scratch/root build=$top/build/release
broker_pid='' port=''
cleanup() {
  [ -z "$broker_pid" ] || kill -9 "$broker_pid" 2>/dev/null || true
  umount -l "$root/proc" "$root/dev" 2>/dev/null || true
  if [ -n "$keep" ]; then say "kept: $scratch"; else rm -rf --one-file-system "$scratch"; fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

passed=0 failed=0
# check NAME COMMAND...: the command's exit code decides; its output is shown if it fails.
check() {
  local name=$1
  shift
  if "$@" >"$scratch/output" 2>&1; then
    passed=$((passed + 1))
    printf 'case ok %s\n' "$name"
  else
    failed=$((failed + 1))
    printf 'case FAIL %s\n' "$name"
    tail -n 15 "$scratch/output" | sed 's/^/    /'
  fi
}
# empty COMMAND...: it succeeds and has nothing to say.
empty() {
  local said
  said=$("$@" 2>&1) && [ -z "$said" ] || { printf '%s\n' "$said"; return 1; }
}

# start_broker COMMAND...: waits for its listener, whose port is then in `port`.
start_broker() {
  : >"$scratch/broker.log"
  WHIMBREL_LISTEN=127.0.0.1:0 "$@" >"$scratch/broker.log" 2>&1 &
  broker_pid=$!
  local begin=$SECONDS
  until grep -q 'listening on' "$scratch/broker.log"; do
    if ! kill -0 "$broker_pid" 2>/dev/null || [ $((SECONDS - begin)) -gt 30 ]; then
      cat "$scratch/broker.log"
      return 1
    fi
    sleep 0.1
  done
  port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$scratch/broker.log" | head -n 1)
}
stop_broker() {
  local status=0
  kill "$broker_pid" && wait "$broker_pid" || status=$?
  broker_pid=
  [ "$status" -eq 0 ] || { cat "$scratch/broker.log"; return 1; }
}

# The library's symbols beside those that exports.map means to open: its namespaces' faces, and
# nothing that is behind them or of another library.
only_public() {
  local names
  names=$(nm -DC --defined-only "$1" | cut -c20- | grep -v '^WHIMBREL_0\.1$' |
    sed 's/@@WHIMBREL_0\.1//')
  grep -q '^whimbrel::client::connection::open(' <<<"$names" || { echo "no open"; return 1; }
  ! grep -Ev '^(typeinfo( name)? for |vtable for )?whimbrel::(client|amqp::(codec|message))::' \
    <<<"$names" || return 1
  ! grep -E '::(impl|state|core|reader|writer)\b.*::|boost|decode' <<<"$names"
}
# Whatever a header makes the compiler read is our own, the standard library's or the C library's.
header_alone() {
  local include=$1 header=$2
  shift 2
  "$@" g++ -std=c++20 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I"$include" \
    -include "$include/$header" -x c++ /dev/null || return 1
  ! "$@" g++ -std=c++20 -M -I"$include" -include "$include/$header" -x c++ /dev/null |
    grep -iE 'boost|asio|openssl|sqlite'
}
same_declarations() {
  local line missing=0
  while IFS= read -r line; do
    [ -n "$line" ] || continue
    grep -rqFx --include='*.hpp' -- "$line" "$top/amqp" && continue
    echo "not in amqp/: $line"
    missing=1
  done < <(sed -n '/^struct descriptor {/,/^}  \/\/ namespace/p' \
    "$top/client/packages/declarations.hpp")
  return $missing
}
# Every flag that --help shows is on the page.
page_has_flags() {
  local program=$1 verb=$2 man=$3 flag count=0
  mandoc -T ascii "$man/man1/whimbrel-$verb.1" | sed 's/.\x08//g' >"$scratch/page"
  local flags='^ +(-h,)?--[a-z0-9-]+'
  for flag in $("$program" "$verb" --help | grep -oE "$flags" | grep -oE -- '--.*'); do
    count=$((count + 1))
    grep -qE -- "^ +(-h,)?$flag( |\$)" "$scratch/page" && continue
    echo "not on the page: $flag"
    return 1
  done
  [ "$count" -gt 0 ]
}
consumer=$top/tests/packages/consumer
by_cmake() {
  cmake -S "$consumer" -B "$scratch/by-cmake" -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_PREFIX_PATH="$prefix" && cmake --build "$scratch/by-cmake"
}
by_pkg_config() {
  export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
  # shellcheck disable=SC2046
  g++ -std=c++20 "$consumer/main.cpp" -o "$scratch/by-pkg-config" \
    $(pkg-config --cflags --libs whimbrel)
}

say "building"
build_preset release installable
check "cmake --install --prefix" cmake --install "$build" --prefix "$prefix"
for file in bin/whimbrel lib/libwhimbrel.so.0 lib/libwhimbrel.so lib/pkgconfig/whimbrel.pc \
  lib/cmake/Whimbrel/WhimbrelConfig.cmake include/whimbrel/client.hpp share/man/man1/whimbrel.1 \
  share/man/man5/whimbrel.toml.5 share/bash-completion/completions/whimbrel \
  lib/systemd/system/whimbrel.service etc/whimbrel/whimbrel.toml; do
  check "prefix: $file" test -s "$prefix/$file"
done
library=$(readlink -f "$prefix/lib/libwhimbrel.so")
soname() { readelf -d "$library" | grep -F 'soname: [libwhimbrel.so.0]'; }
check "library: soname" soname
check "library: only the public face is to be seen" only_public "$library"
check "headers: declarations.hpp says what amqp/ says" same_declarations
while IFS= read -r header; do
  check "headers: $header alone, without Boost and Asio" header_alone "$prefix/include" "$header"
done < <(cd "$prefix/include" && find whimbrel -name '*.hpp' | sort)
check "completion: bash reads it" bash -n "$prefix/share/bash-completion/completions/whimbrel"
for page in "$prefix"/share/man/man?/*; do
  check "manual: ${page##*/} is clean" empty mandoc -T lint -W warning "$page"
done
for verb in $("$prefix/bin/whimbrel" --help | awk '/^verbs:/ { on = 1; next } on { print $1 }'); do
  check "manual: whimbrel-$verb has every flag" \
    page_has_flags "$prefix/bin/whimbrel" "$verb" "$prefix/share/man"
done
check "settings: the installed file is valid" \
  "$prefix/bin/whimbrel" broker --config "$prefix/etc/whimbrel/whimbrel.toml" --check-config
check "prefix: a project builds by find_package" by_cmake
check "prefix: a project builds by pkg-config" by_pkg_config
check "prefix: the broker starts" \
  start_broker "$prefix/bin/whimbrel" broker --data "$scratch/data"
for program in by-cmake/consumer by-pkg-config; do
  check "prefix: ${program%/*} sends, receives and catches" \
    env LD_LIBRARY_PATH="$prefix/lib" "$scratch/$program" "amqp://127.0.0.1:$port"
done
check "prefix: the broker stops" stop_broker

summary() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}
if [ -n "$prefix_only" ]; then
  summary
  exit
fi

say "making the Debian packages"
check "cpack makes them" cpack --config "$build/CPackConfig.cmake" -G DEB -B "$scratch/debs"
version=$("$prefix/bin/whimbrel" --version | cut -d' ' -f2)
architecture=$(dpkg --print-architecture)
deb() { echo "$scratch/debs/$1_${version}_$architecture.deb"; }
field() { dpkg-deb -f "$(deb "$1")" "$2" | grep -E "$3"; }
holds() { dpkg-deb -c "$(deb "$1")" | awk '{ print $6 }' | grep -x "./$2"; }
control_has() { dpkg-deb -I "$(deb "$1")" "$2" | grep -xF -- "$3"; }
for each in whimbrel:usr/bin/whimbrel whimbrel:usr/lib/systemd/system/whimbrel.service \
  whimbrel:etc/whimbrel/whimbrel.toml whimbrel:usr/share/man/man1/whimbrel-broker.1 \
  whimbrel:usr/share/bash-completion/completions/whimbrel \
  whimbrel:usr/share/doc/whimbrel/copyright libwhimbrel0:usr/lib/libwhimbrel.so.0 \
  libwhimbrel0:usr/share/doc/libwhimbrel0/copyright libwhimbrel-dev:usr/lib/libwhimbrel.so \
  libwhimbrel-dev:usr/include/whimbrel/client.hpp libwhimbrel-dev:usr/lib/pkgconfig/whimbrel.pc \
  libwhimbrel-dev:usr/lib/cmake/Whimbrel/WhimbrelConfig.cmake \
  libwhimbrel-dev:usr/share/doc/libwhimbrel-dev/copyright; do
  check "${each%%:*}: ${each#*:}" holds "${each%%:*}" "${each#*:}"
done
check "whimbrel: depends on its libraries" field whimbrel Depends libssl3
check "libwhimbrel0: depends on its libraries" field libwhimbrel0 Depends 'libstdc\+\+6'
check "libwhimbrel-dev: needs its library and no Boost" \
  field libwhimbrel-dev Depends "^libwhimbrel0 \(= $version\)\$"
check "whimbrel: the settings are a conffile" control_has whimbrel conffiles \
  /etc/whimbrel/whimbrel.toml
check "libwhimbrel0: programs ask for this very version" control_has libwhimbrel0 shlibs \
  "libwhimbrel 0 libwhimbrel0 (= $version)"
if command -v systemd-analyze >/dev/null; then
  # How much the service is exposed, of 10; systemd calls what is below 2.0 OK.
  dpkg-deb -x "$(deb whimbrel)" "$scratch/unpacked"
  check "service: systemd finds it well confined" systemd-analyze security --offline=true \
    --threshold=20 "$scratch/unpacked/usr/lib/systemd/system/whimbrel.service"
else
  say "no systemd-analyze: how well the service is confined is not looked at"
fi

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
for each in /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/apt.conf.d /etc/resolv.conf; do
  [ -e "$each" ] || continue
  rm -rf "${root:?}$each"
  cp -rL "$each" "$root$each"
done
echo '127.0.0.1 localhost' >"$root/etc/hosts"
[ ! -d /usr/local/share/ca-certificates ] ||
  cp -r /usr/local/share/ca-certificates "$root/usr/local/share/"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --make-rslave "$root/dev"
mkdir -p "$root/debs"
cp "$scratch"/debs/*.deb "$root/debs"
cp -r "$consumer" "$root/consumer"

environment=(env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
  DEBIAN_FRONTEND=noninteractive)
inside() { chroot "$root" "${environment[@]}" "$@"; }
as_service=(chroot --userspec=whimbrel:whimbrel "$root" "${environment[@]}"
  WHIMBREL_LISTEN=127.0.0.1:0)
apt=(inside apt-get -q -y --no-install-recommends)
data_directory() { inside stat -c '%U:%G %a' /var/lib/whimbrel | grep -x 'whimbrel:whimbrel 750'; }
settings_file() {
  inside stat -c '%U:%G %a' /etc/whimbrel/whimbrel.toml | grep -x 'root:whimbrel 640'
}
# The unit's command line, as its user, with a port of its own: the chroot shares this machine's.
start_service() {
  local line
  line=$(sed -n 's/^ExecStart=//p' "$root/usr/lib/systemd/system/whimbrel.service")
  # shellcheck disable=SC2086
  start_broker "${as_service[@]}" $line
}
# Of the unit: it is the user that the package made.
unit_user() { grep -x 'User=whimbrel' "$root/usr/lib/systemd/system/whimbrel.service"; }
store_kept() { inside find /var/lib/whimbrel -type f -size +0 | grep .; }
by_pkg_config_inside() {
  # shellcheck disable=SC2016
  inside sh -c 'g++ -std=c++20 /consumer/main.cpp -o /by-pkg-config \
    $(pkg-config --cflags --libs whimbrel)'
}

say "installing in the chroot"
inside apt-get -q update >"$scratch/apt.log" 2>&1 || say "warning: apt-get update failed"
check "chroot: apt installs whimbrel" "${apt[@]}" install "/debs/$(basename "$(deb whimbrel)")"
check "chroot: whimbrel --version" inside whimbrel --version
check "chroot: the data directory is the user's alone" data_directory
check "chroot: the settings are root's, and the broker reads them" settings_file
check "chroot: the unit runs as the package's user" unit_user
check "chroot: the service's command starts a broker" start_service
check "chroot: it is well" inside whimbrel ctl --url "amqp://127.0.0.1:$port" list queues
check "chroot: a durable message is sent" inside whimbrel send "amqp://127.0.0.1:$port/kept" \
  --body hello --durable
check "chroot: apt installs the library and what builds with it" "${apt[@]}" install \
  "/debs/$(basename "$(deb libwhimbrel0)")" "/debs/$(basename "$(deb libwhimbrel-dev)")" \
  g++ cmake make pkg-config man-db
check "chroot: there is no Boost" inside test ! -e /usr/include/boost
check "chroot: a project builds by find_package" inside sh -c \
  'cmake -S /consumer -B /by-cmake && cmake --build /by-cmake'
check "chroot: a project builds by pkg-config" by_pkg_config_inside
for program in /by-cmake/consumer /by-pkg-config; do
  check "chroot: $program sends, receives and catches" inside "$program" "amqp://127.0.0.1:$port"
done
check "chroot: man finds whimbrel-send" inside man -w whimbrel-send
check "chroot: man shows whimbrel.toml" inside sh -c 'man 5 whimbrel.toml | grep -q listener'
check "chroot: the service stops" stop_broker
check "chroot: it starts again" start_service
check "chroot: the message is still there" inside whimbrel receive \
  "amqp://127.0.0.1:$port/kept" --count 1
check "chroot: it stops again" stop_broker
check "chroot: apt removes whimbrel" "${apt[@]}" remove whimbrel
check "chroot: the binary has gone" inside test ! -e /usr/bin/whimbrel
check "chroot: messages have not" store_kept
check "chroot: settings have not" inside test -e /etc/whimbrel/whimbrel.toml
check "chroot: apt purges whimbrel" "${apt[@]}" purge whimbrel
check "chroot: messages have gone" inside test ! -e /var/lib/whimbrel
check "chroot: settings have gone" inside test ! -e /etc/whimbrel/whimbrel.toml
summary
