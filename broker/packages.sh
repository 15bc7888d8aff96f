# SPDX-License-Identifier: Apache-2.0
# Sourced by broker/run.sh and tests/run.sh: the Debian packages that each needs, how they are
# installed, and how a preset is built. Everything here reports on stderr, so that stdout stays the
# program's own.
# shellcheck shell=bash

# What the broker is built from.
build_packages=(cmake ninja-build g++ libboost1.81-dev libboost-json1.81-dev libssl-dev
  libsqlite3-dev libcli11-dev libtomlplusplus-dev libspdlog-dev libfmt-dev
  prometheus-cpp-dev)

# What the tests need besides: the unit test framework, Proton for C++ and Python, rhea's Node, and
# openssl for certificates.
test_packages=(doctest-dev libqpid-proton-cpp12-dev libqpid-proton11-dev
  libqpid-proton11-dev-examples python3-qpid-proton openssl)

say() { printf '%s\n' "$*" >&2; }
die() {
  say "$(basename "$0"): $*"
  exit 1
}

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# require_packages NAME...: installs what is missing. Silent if nothing is.
require_packages() {
  command -v dpkg-query >/dev/null ||
    die "this script knows Debian's packages only; install the likes of: $*, then build with: \
cmake --preset release && ninja -C build/release whimbrel"
  local missing=() name
  for name in "$@"; do is_installed "$name" || missing+=("$name"); done
  [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

install_packages() {
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      die "packages are missing, and it takes root or sudo to install them: apt-get install $*"
    as_root=(sudo)
  fi
  if [[ " $* " == *" libboost1.81-dev "* ]] && is_installed libboost1.74-dev; then
    die "libboost1.74-dev is installed, and its headers cannot live beside libboost1.81-dev, which \
Whimbrel needs. If nothing of yours needs 1.74: apt-get remove libboost1.74-dev, then run this \
again. Otherwise build in a container or a chroot."
  fi
  say "installing: $*"
  local log
  log=$(mktemp)
  # An unreachable third-party source fails the update and need not matter: the install decides.
  "${as_root[@]}" env LC_ALL=C apt-get -q update >"$log" 2>&1 ||
    say "warning: apt-get update failed"
  if ! "${as_root[@]}" env LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get -q -y \
    --no-remove --no-install-recommends install "$@" >>"$log" 2>&1; then
    tail -n 25 "$log" >&2
    rm -f "$log"
    die "apt-get could not install the packages; nothing was removed. If it names packages to be \
removed or a conflict, resolve that by hand, then run this again."
  fi
  rm -f "$log"
}

# Jobs for the compiler: one a processor, and about 1 GiB for each.
build_jobs() {
  local processors memory
  processors=$(nproc)
  memory=$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo 2>/dev/null) || memory=
  [ "${memory:=$processors}" -ge 1 ] || memory=1
  echo $((processors < memory ? processors : memory))
}

# Passes on what a build says, but in place of its steps a line for each tenth of them.
show_progress() {
  local name=$1 line next=10 done_steps steps percent
  while IFS= read -r line; do
    if [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]]; then
      done_steps=${BASH_REMATCH[1]} steps=${BASH_REMATCH[2]}
      [ "$steps" -ge 3 ] || continue
      percent=$((100 * done_steps / steps))
      [ "$percent" -ge "$next" ] || continue
      say "building $name: $done_steps of $steps"
      next=$((percent / 10 * 10 + 10))
    elif [[ $line != "ninja: "* && $line != "-- "* ]]; then
      say "$line"
    fi
  done
}

# build_preset PRESET [TARGET...]: configures when that has not been done, and builds.
build_preset() {
  local preset=$1 top log
  shift
  top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  if [ ! -f "$top/build/$preset/build.ninja" ]; then
    say "configuring build/$preset"
    log=$(mktemp)
    if ! (cd "$top" && cmake --preset "$preset") >"$log" 2>&1; then
      cat "$log" >&2
      rm -f "$log"
      rm -f "$top/build/$preset/CMakeCache.txt"  # what was not found is looked for again
      die "cmake failed"
    fi
    rm -f "$log"
  fi
  ninja -C "$top/build/$preset" -j "$(build_jobs)" "$@" 2>&1 | show_progress "$preset" ||
    die "the build failed"
}
