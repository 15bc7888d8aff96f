#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The crash test: kill -9 under load, restart on the same data directory, check the clients' ledger.
set -eu

usage() {
  cat <<'END'
usage: tests/crash/run.sh [--kills N] [--workers "1 3"] [--seed S] [--broker BINARY]
                          [--driver PROGRAM] [--keep]
  --kills    kills for each number of workers (50)
  --workers  numbers of workers to run with, one after the other ("1 3")
  --seed     of the random choices; printed in any case
  --broker   default: build/dev/whimbrel; --driver default: tests/crash_driver beside it
  --keep     leave the data directory and the broker's log behind
END
}

here=$(cd "$(dirname "$0")" && pwd)
kills=50 workers="1 3" seed= broker=$here/../../build/dev/whimbrel driver= keep=
while [ $# -gt 0 ]; do
  case $1 in
    --kills) kills=$2; shift ;;
    --workers) workers=$2; shift ;;
    --seed) seed=$2; shift ;;
    --broker) broker=$2; shift ;;
    --driver) driver=$2; shift ;;
    --keep) keep=1 ;;
    --help|-h) usage; exit 0 ;;
    *) echo "run.sh: unknown argument: $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
driver=${driver:-$(dirname "$broker")/tests/crash_driver}
for program in "$broker" "$driver"; do
  if [ ! -x "$program" ]; then
    echo "run.sh: $program is not there; build it first" >&2
    exit 2
  fi
done

scratch=$(mktemp -d "${TMPDIR:-/tmp}/whimbrel-crash.XXXXXX")
trap 'if [ -z "$keep" ]; then rm -rf "$scratch"; else echo "kept: $scratch"; fi' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0
# count STATUS NAME
count() {
  if [ "$1" -eq 0 ]; then passed=$((passed + 1)); return; fi
  failed=$((failed + 1))
  echo "FAIL $2"
}
status=0
"$driver" --self-test || status=$?
count "$status" "the ledger notices faulty histories"
for number in $workers; do
  # A broker dies with its driver, whatever ends that one.
  status=0
  # shellcheck disable=SC2086
  "$driver" --broker "$broker" --directory "$scratch/workers-$number" --kills "$kills" \
    --workers "$number" ${seed:+--seed $seed} || status=$?
  count "$status" "$kills kills, workers $number"
  if [ "$status" -ne 0 ]; then
    tail -n 5 "$scratch/workers-$number/broker.log" 2>/dev/null || true
  fi
done
# The same, of a broker that answers too early: this has to be noticed, if not at the first kill.
# (What it has written survives a kill: only one between the answer and the write shows it.)
status=0
if WHIMBREL_TEST_ACCEPT_BEFORE_COMMIT=1 "$driver" --broker "$broker" \
  --directory "$scratch/early" --kills 400 --until-fault --workers 1 ${seed:+--seed "$seed"} \
  >"$scratch/early.log" 2>&1; then
  status=1  # it found nothing wrong
fi
grep -Eq '^[1-9][0-9]* lost' "$scratch/early.log" || status=1
count "$status" "a broker that accepts before it commits is noticed"
awk '/^run/ { kills++ } / lost, / { sum = $0 }
  END { print "a broker that accepts before it commits: " sum " after " kills + 0 " kills" }' \
  "$scratch/early.log"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
