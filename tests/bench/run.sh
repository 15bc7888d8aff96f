#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures the broker with the independent load generator, beside no broker at all and, if wanted,
# beside another broker. See --help.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=broker/packages.sh
. "$top/broker/packages.sh"

usage() {
  cat <<'TEXT'
usage: tests/bench/run.sh [options]

Builds the release broker and proton_load, then runs each scenario in alternation
without a broker (the sender straight to the receiver) and through the broker, and
prints rates, ratios, CPU per message, latencies, memory and the machine's load.

  --quick           200,000 messages, 3 runs, 100 octets alone: under a minute
  --runs N          runs of each scenario and subject (5)
  --count N         messages of 100 octets a run (500,000); half as many of 1 KiB
  --peer-count N    messages a run through the peer (a fifth of --count)
  --workers N       the broker's workers (its default)
  --broker BINARY   measure this one, build none
  --peer HOST:PORT --address A [--peer-pid PID] [--peer-name NAME]
                    put another broker into the same alternation; A is a queue there,
                    empty at the start; with PID its CPU and memory are shown
  --only TEXT       scenarios whose name contains TEXT (e.g. durable, '1 KiB', 2,000/s)
  --startup         also the time from start to the first `open`, empty and with 100,000
                    stored messages, and the memory at start
  --json FILE       every run's figures
  --help            this text

Data directories are made below build/bench (WHIMBREL_BENCH_DIR sets another place) and
removed; what file system that is stands in the heading. Exit code 0 if all was measured.
TEXT
}

broker=
arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --quick | --startup) arguments+=("$1") ;;
    --broker)
      broker=${2-}
      [ -x "$broker" ] || die "no such program: '$broker'"
      shift
      ;;
    --runs | --count | --peer-count | --workers | --peer | --address | --peer-pid | --peer-name | \
      --only | --json)
      [ $# -ge 2 ] || die "$1 wants a value; see --help"
      arguments+=("$1" "$2")
      shift
      ;;
    *) die "unknown argument: $1; see --help" ;;
  esac
  shift
done

command -v python3 >/dev/null || require_packages python3
require_packages libqpid-proton11-dev

place=${WHIMBREL_BENCH_DIR:-$top/build/bench}
mkdir -p "$place"
load=$place/proton_load
source=$top/tests/bench/proton_load.cpp
if [ ! -x "$load" ] || [ "$source" -nt "$load" ]; then
  say "building proton_load"
  c++ -O2 -std=c++17 "$source" -o "$load" -lqpid-proton -lpthread
fi
if [ -z "$broker" ]; then
  require_packages "${build_packages[@]}"
  build_preset release whimbrel
  broker=$top/build/release/whimbrel
fi
export PYTHONDONTWRITEBYTECODE=1
exec python3 "$top/tests/bench/bench.py" --broker "$broker" --load "$load" --place "$place" \
  "${arguments[@]}"
