#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the tests need, builds, and runs all of them. See --help. The last line is the sum.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=broker/packages.sh
. "$top/broker/packages.sh"

usage() {
  cat <<'TEXT'
usage: tests/run.sh [--preset NAME] [--units | --no-crash]

Sets everything up on Debian 12 and runs every test: installs the packages that
are missing (as root or through sudo, never removing any), builds, runs the unit
tests and the fuzz corpora, then the clients of other makers (tests/interop) and
the crash test (tests/crash) against the built broker. The last line says
`N passed, N failed`; the exit code is 0 if none failed.

  --preset NAME   dev (default), asan, tsan or coverage. With dev, the broker under
                  test is the release build; with the others, the one of the preset
  --units         unit tests and fuzz corpora alone
  --no-crash      all but the crash test
TEXT
}

preset=dev
scripts='interop crash'
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --units) scripts= ;;
    --no-crash) scripts=interop ;;
    --preset)
      preset=${2-}
      [[ $preset =~ ^(dev|asan|tsan|coverage)$ ]] || die "no such preset: '$preset'; see --help"
      shift
      ;;
    *) die "unknown argument: $1; see --help" ;;
  esac
  shift
done

passed=0 failed=0 skipped=0
failures=()
started=$SECONDS
step() { say "[$((SECONDS - started)) s] $*"; }

# count_line "N passed, N failed[, N skipped]": adds it to the sum.
count_line() {
  [[ $1 =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]] || return 1
  passed=$((passed + BASH_REMATCH[1]))
  failed=$((failed + BASH_REMATCH[2]))
  skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
}

# Runs ctest; of the tests that pass only a line for each tenth is shown.
run_ctest() {
  local line next=10 log=$top/build/$preset/ctest.log status=0 summary
  (cd "$top/build/$preset" && ctest -j "$(nproc)" --output-on-failure --no-tests=error) 2>&1 |
    tee "$log" | while IFS= read -r line; do
    if [[ $line =~ ^\ *([0-9]+)/([0-9]+)\ Test.*\ Passed\  ]]; then
      if [ $((100 * BASH_REMATCH[1] / BASH_REMATCH[2])) -ge "$next" ]; then
        say "  ${BASH_REMATCH[1]} of ${BASH_REMATCH[2]}"
        next=$((next + 10))
      fi
    elif [[ ! $line =~ ^\ +Start\  && -n $line ]]; then
      say "  $line"
    fi
  done || status=1
  summary=$(grep -E 'tests? failed out of' "$log" | tail -n 1)
  if [[ $summary =~ ([0-9]+)\ tests?\ failed\ out\ of\ ([0-9]+) ]]; then
    passed=$((passed + BASH_REMATCH[2] - BASH_REMATCH[1]))
    failed=$((failed + BASH_REMATCH[1]))
  elif [ $status -ne 0 ]; then
    failed=$((failed + 1))
  fi
  mapfile -t -O "${#failures[@]}" failures < <(sed -n '/^The following tests FAILED/,$ {
    s/^[[:space:]]*[0-9]* - //p
  }' "$log")
}

# run_script DIRECTORY [argument...]: its run.sh, if it is there. A script that fails without saying
# how often counts as one failure.
run_script() {
  local name=$1 script=$top/tests/$1/run.sh log=$top/build/$preset/$1.log status=0 before=$failed
  shift
  [ -x "$script" ] || return 0
  step "tests/$name"
  "$script" "$@" 2>&1 | tee "$log" >&2 || status=$?
  count_line "$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)" || status=1
  if [ $status -ne 0 ] && [ "$failed" -eq "$before" ]; then failed=$((failed + 1)); fi
  mapfile -t -O "${#failures[@]}" failures < <(sed -n 's/^FAIL */tests\/'"$name"': /p' "$log")
}

needed=("${build_packages[@]}" "${test_packages[@]}")
command -v node >/dev/null || needed+=(nodejs)
command -v npm >/dev/null || needed+=(npm)
require_packages "${needed[@]}"

step "building $preset"
build_preset "$preset"
step "unit tests and fuzz corpora"
run_ctest

if [ -n "$scripts" ]; then
  broker=$top/build/$preset/whimbrel
  if [ "$preset" = dev ]; then
    step "building release"
    build_preset release whimbrel
    broker=$top/build/release/whimbrel
  fi
fi
for name in $scripts; do
  if [ "$name" = interop ]; then
    run_script interop --broker "$broker" --programs "$top/build/$preset/tests/interop"
  else
    run_script "$name" --broker "$broker" --driver "$top/build/$preset/tests/crash_driver"
  fi
done

step "done"
for line in "${failures[@]}"; do echo "failed: $line"; done
sum="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || sum="$sum, $skipped skipped"
echo "$sum"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
