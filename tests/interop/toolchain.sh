# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What the build.sh of each language shares: the way out where a program cannot be built.

# skip REASON: ends the build; the runner shows the reason.
skip() {
  echo "$*"
  exit 77
}

# at_least NEEDED HAVE: whether the version HAVE will do.
at_least() {
  [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}
