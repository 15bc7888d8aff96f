// SPDX-License-Identifier: Apache-2.0
// What `whimbrel ctl completion` prints: to be sourced, or put into a directory of completions.
#pragma once

namespace whimbrel::client {

inline constexpr const char* bash_completion = R"(# bash completion for whimbrel
_whimbrel_ctl_queues() {
  "${COMP_WORDS[0]}" ctl list queues 2>/dev/null | tail -n +2 | cut -d' ' -f1
}
_whimbrel() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=
  if [ "$COMP_CWORD" = 1 ]; then
    words="broker send receive ctl conformance hash-password --help --version"
    COMPREPLY=($(compgen -W "$words" -- "$word")); return
  fi
  case ${COMP_WORDS[1]} in
    ctl) ;;
    send)
      case $before in
        --file|--lines|--text-lines|--ca|--cert|--key)
          COMPREPLY=($(compgen -f -- "$word")); return ;;
        --settle) words="unsettled settled" ;;
        --mechanism) words="SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN ANONYMOUS" ;;
        *) words="--address --body --file --size --lines --text-lines --count --subject --to \
             --message-id --correlation-id --reply-to --content-type --group-id --property \
             --annotation --durable --ttl --priority --settle --pipeline --capability --timeout \
             --container-id --mechanism --no-sasl --trace --quiet --ca --cert --key --insecure \
             --help" ;;
      esac
      COMPREPLY=($(compgen -W "$words" -- "$word")); return ;;
    receive)
      case $before in
        --output|--ca|--cert|--key) COMPREPLY=($(compgen -f -- "$word")); return ;;
        --settle) words="unsettled settled" ;;
        --mechanism) words="SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN ANONYMOUS" ;;
        --outcome) words="accept release reject" ;;
        *) words="--address --count --timeout --drain --browse --selector --credit --json --raw \
             --output --outcome --settle --subscription --container-id --capability \
             --wait --mechanism --no-sasl --trace --quiet --ca --cert --key --insecure --help" ;;
      esac
      COMPREPLY=($(compgen -W "$words" -- "$word")); return ;;
    *) return ;;
  esac
  case $before in
    ctl) words="list get declare delete purge peek move replay bind unbind set-policy"
      words="$words definitions ping"
      words="$words completion --url --json --ca --cert --cert-key --insecure" ;;
    list) words="queues exchanges bindings policies" ;;
    get|delete) words="queue exchange policy" ;;
    declare) words="queue exchange" ;;
    definitions) words="export import" ;;
    queue|purge|peek|move|replay|--to) words=$(_whimbrel_ctl_queues) ;;
    import|export) COMPREPLY=($(compgen -f -- "$word")); return ;;
    *)
      words="--argument --transient --auto-delete --if-empty --if-unused --dry-run --type --key"
      words="$words --priority --count --selector --rate --to --help" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o filenames -F _whimbrel whimbrel
)";

}  // namespace whimbrel::client
