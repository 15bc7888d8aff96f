#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Line coverage of a folder by the unit tests. Nothing here runs in tests/run.sh.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=broker/packages.sh
. "$top/broker/packages.sh"

usage() {
  cat <<'TEXT'
usage: tests/coverage.sh [--folder NAME] [--least PERCENT] [--files]

Builds the coverage preset's unit tests of one folder (amqp, storage or broker;
default amqp), runs them, and prints which share of its lines they ran. Fails
below PERCENT (default 90).

  --files   a line for each file
TEXT
}

folder=amqp least=90 files=
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --folder) folder=${2-}; shift ;;
    --least) least=${2-}; shift ;;
    --files) files=yes ;;
    *) die "unknown argument: $1; see --help" ;;
  esac
  shift
done
[[ $folder =~ ^(amqp|storage|broker)$ ]] || die "no such folder: '$folder'; see --help"

require_packages "${build_packages[@]}" "${test_packages[@]}" gcovr
build_preset coverage "test_$folder"
build=$top/build/coverage
find "$build" -name '*.gcda' -delete
"$build/test_$folder" >"$build/coverage.log" || {
  tail -n 20 "$build/coverage.log" >&2
  die "the unit tests of $folder fail"
}
# What is nothing but a declared impossibility (an assertion's other branch) counts as a line, too.
gcovr --root "$top" --object-directory "$build" --filter "$folder/" --txt "$build/coverage.txt" \
  --fail-under-line "$least" "$build" || status=$?
if [ -n "$files" ]; then cat "$build/coverage.txt"; else tail -n 3 "$build/coverage.txt"; fi
exit "${status:-0}"
