#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# make_manual.sh PROGRAM DIRECTORY VERSION: writes DIRECTORY/man1 and man5 from what the program
# says of itself, verb by verb, and from broker/config/README.md. A new verb has its page without
# ado.
set -eu
program=$1 out=$2 version=$3
here=$(cd "$(dirname "$0")" && pwd)
export LC_ALL=C TERM=dumb
unset WHIMBREL_URL  # help pages show it
date=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}" +%Y-%m-%d)

head() {  # NAME SECTION PURPOSE
  printf '.\\" Made by client/packages/make_manual.sh.\n'
  printf '.TH %s %s %s "Whimbrel %s" "Whimbrel"\n' "$1" "$2" "$date" "$version"
  printf '.SH NAME\n%s \\- %s\n' "$1" "$3"
}
see_also() {
  printf '.SH "SEE ALSO"\n'
  # shellcheck disable=SC2086
  printf '%s\n' $* | sed 's/^\(.*\)\.\([15]\)$/.BR \1 (\2),/; $s/,$//'
}
# The names that a help page lists below "Subcommands:" or "verbs:".
listed() {
  awk '/^(Subcommands|verbs):$/ { on = 1; next } !/^  / { on = 0 } on { print $1 }'
}
# The commands below VERB, each followed by those below it.
commands() {
  for each in $("$program" "$@" --help | listed); do
    "$program" "$@" "$each" --help | awk -v part="whimbrel $* $each" -f "$here/help_to_man.awk"
    (commands "$@" "$each")
  done
}

rm -rf "$out"
mkdir -p "$out/man1" "$out/man5"
help=$("$program" --help)
verbs=$(printf '%s\n' "$help" | listed)
pages=
for verb in $verbs; do pages="$pages whimbrel-$verb.1"; done

purpose=$(printf '%s\n' "$help" | sed -n '1s/^whimbrel - //p')
{
  head whimbrel 1 "$purpose"
  printf '%s\n' "$help" | sed 1d | awk -f "$here/help_to_man.awk"
  see_also "$pages" whimbrel.toml.5
} >"$out/man1/whimbrel.1"

for verb in $verbs; do
  purpose=$(printf '%s\n' "$help" | sed -n "s/^  $verb  *//p")
  {
    head "whimbrel-$verb" 1 "$purpose"
    "$program" "$verb" --help | awk -f "$here/help_to_man.awk"
    if [ -n "$("$program" "$verb" --help | listed)" ]; then
      printf '.SH COMMANDS\n'
      commands "$verb"
    fi
    see_also whimbrel.1 whimbrel.toml.5
  } >"$out/man1/whimbrel-$verb.1"
done

{
  head whimbrel.toml 5 "settings of the Whimbrel broker"
  printf '.SH DESCRIPTION\nThe file that '
  printf '\\fBwhimbrel broker \\-\\-config\\fR reads, in TOML. Flat keys are named as the '
  printf 'flags in\n.BR whimbrel\\-broker (1)\nwithout the dashes; tables hold the rest.\n'
  awk -v skip='^(broker/config|Exit codes)' -f "$here/markdown_to_man.awk" \
    "$here/../../broker/config/README.md"
  see_also whimbrel-broker.1 whimbrel-hash-password.1
} >"$out/man5/whimbrel.toml.5"
