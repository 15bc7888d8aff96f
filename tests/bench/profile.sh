#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Where the broker's time goes under load, by stage of a message's road. See --help.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=broker/packages.sh
. "$top/broker/packages.sh"

usage() {
  cat <<'TEXT'
usage: tests/bench/profile.sh [options]

Builds the release broker with debug information (build/profile), loads it with
proton_load and samples it with perf; prints a budget by stage in ns a message, and
the functions that cost most. Each sample is charged to the innermost function,
inlined ones included, that belongs to a stage (see profile_stages.py).

  --durable         durable messages (transient)
  --mode MODE       both (default), send (no consumer) or recv (drains a backlog)
  --size N          octets of a body (100)
  --count N         messages (1,000,000)
  --workers N       the broker's workers (its default)
  --frequency N     samples a second and thread (2,000)
  --top N           functions listed (40)
  --broker BINARY   this one, with debug information
  --callgrind       instructions by valgrind instead of time by perf: slow, but exact
                    and untouched by the machine's load (20,000 messages)
  --keep DIRECTORY  the raw data stays there
TEXT
}

durable=0 mode=both size=100 count= workers= frequency=2000 listed=40 tool=perf keep= broker=
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --durable) durable=1 ;;
    --callgrind) tool=callgrind ;;
    --mode | --size | --count | --workers | --frequency | --top | --keep | --broker)
      [ $# -ge 2 ] || die "$1 wants a value; see --help"
      case $1 in
        --mode) mode=$2 ;;
        --size) size=$2 ;;
        --count) count=$2 ;;
        --workers) workers=$2 ;;
        --frequency) frequency=$2 ;;
        --top) listed=$2 ;;
        --keep) keep=$2 ;;
        --broker) broker=$2 ;;
      esac
      shift
      ;;
    *) die "unknown argument: $1; see --help" ;;
  esac
  shift
done
[[ $mode =~ ^(both|send|recv)$ ]] || die "no such mode: $mode; see --help"
if [ -z "$count" ]; then count=$([ $tool = perf ] && echo 1000000 || echo 20000); fi
if [ $tool = perf ]; then
  command -v perf >/dev/null || die "perf is missing: apt-get install linux-perf"
else
  command -v valgrind >/dev/null || die "valgrind is missing: apt-get install valgrind"
fi
command -v addr2line >/dev/null || die "addr2line is missing: apt-get install binutils"

build=$top/build/profile
if [ -z "$broker" ] && [ ! -f "$build/build.ninja" ]; then
  # As the release, but with debug information. Frame pointers are not needed: perf keeps the stack.
  (cd "$top" && cmake --preset release -B "$build" -DCMAKE_CXX_FLAGS_RELEASE='-O2 -g' \
    -DWHIMBREL_TESTS=OFF) >/dev/null
fi
if [ -z "$broker" ]; then
  ninja -C "$build" whimbrel | show_progress profile
  broker=$build/whimbrel
fi

place=${WHIMBREL_BENCH_DIR:-$top/build/bench}
mkdir -p "$place"
load=$place/proton_load
source=$top/tests/bench/proton_load.cpp
if [ ! -x "$load" ] || [ "$source" -nt "$load" ]; then
  c++ -O2 -std=c++17 "$source" -o "$load" -lqpid-proton -lpthread
fi

scratch=$(mktemp -d "$place/profile.XXXXXX")
broker_pid='' perf_pid=''
finish() {
  [ -z "$perf_pid" ] || kill -INT "$perf_pid" 2>/dev/null || true
  [ -z "$broker_pid" ] || kill -KILL "$broker_pid" 2>/dev/null || true
  wait
  if [ -n "$keep" ]; then
    mkdir -p "$keep"
    mv "$scratch"/perf.* "$scratch"/callgrind.* "$scratch"/*.json "$keep" 2>/dev/null || true
  fi
  rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 143' TERM INT

run=("$broker" broker --listen 127.0.0.1:0 --data "$scratch/data")
[ -z "$workers" ] || run+=(--workers "$workers")
if [ $tool = callgrind ]; then
  run=(valgrind --tool=callgrind --separate-threads=yes --instr-atstart=no
    "--callgrind-out-file=$scratch/callgrind.out" "${run[@]}")
fi
: >"$scratch/log"
"${run[@]}" >/dev/null 2>>"$scratch/log" &
broker_pid=$!
port=
for _ in $(seq 600); do
  port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$scratch/log" | head -n 1)
  [ -z "$port" ] || break
  kill -0 "$broker_pid" 2>/dev/null || die "the broker did not start: $(tail -n 3 "$scratch/log")"
  sleep 0.1
done
[ -n "$port" ] || die "the broker did not start: $(tail -n 3 "$scratch/log")"

drive() {  # MODE COUNT
  "$load" --port "$port" --mode "$1" --count "$2" --size "$size" --durable "$durable" \
    --credit 1000 --timeout 300 --pid "$broker_pid"
}

# Warm: pages touched, queue created. A backlog to drain is made here.
case $mode in
  both) drive both $((count / 5)) >/dev/null ;;
  send) drive send 1000 >/dev/null ;;
  recv) drive send "$count" >/dev/null ;;
esac
if [ $tool = callgrind ]; then
  callgrind_control --instr=on "$broker_pid" >/dev/null
  drive "$mode" "$count" | tee "$scratch/load.json"
  kill -TERM "$broker_pid"
  wait "$broker_pid" || true
  broker_pid=
  for file in "$scratch"/callgrind.out*; do
    say "--- $(basename "$file"), instructions in $count messages"
    callgrind_annotate --inclusive=no "$file" | grep -v '^--' | head -n $((listed + 20))
  done
  exit
fi

perf record -q -e cpu-clock -F "$frequency" --call-graph dwarf,8192 -p "$broker_pid" \
  -o "$scratch/perf.data" >/dev/null 2>&1 &
perf_pid=$!
sleep 0.5  # perf attaches
drive "$mode" "$count" | tee "$scratch/load.json"
kill -INT "$perf_pid"
wait "$perf_pid" || true
perf_pid=
kill -TERM "$broker_pid"
wait "$broker_pid" || true
broker_pid=
perf script -i "$scratch/perf.data" --no-inline -F comm,tid,ip,sym,dso >"$scratch/perf.script" \
  2>/dev/null
python3 "$top/tests/bench/profile_stages.py" --binary "$broker" \
  --load "$scratch/load.json" --mode "$mode" --top "$listed" "$scratch/perf.script"
