// SPDX-License-Identifier: Apache-2.0
// What `whimbrel ctl completion` prints: to be sourced, or put into a directory of completions.
#pragma once

namespace whimbrel::client {

inline constexpr const char* bash_completion = R"(# bash completion for `whimbrel ctl`
_whimbrel_ctl_queues() {
  "${COMP_WORDS[0]}" ctl list queues 2>/dev/null | tail -n +2 | cut -d' ' -f1
}
_whimbrel() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=
  [ "${COMP_WORDS[1]}" = ctl ] || return
  case $before in
    ctl) words="list get declare delete purge bind unbind set-policy definitions completion"
      words="$words --url --json" ;;
    list) words="queues exchanges bindings policies" ;;
    get|delete) words="queue exchange policy" ;;
    declare) words="queue exchange" ;;
    definitions) words="export import" ;;
    queue|purge) words=$(_whimbrel_ctl_queues) ;;
    import|export) COMPREPLY=($(compgen -f -- "$word")); return ;;
    *)
      words="--argument --transient --auto-delete --if-empty --if-unused --dry-run --type --key"
      words="$words --priority --help" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o filenames -F _whimbrel whimbrel
)";

}  // namespace whimbrel::client
