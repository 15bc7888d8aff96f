#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The example programs that Debian's Proton packages ship, and the one that rhea's package ships (in
# its README), run unchanged against the broker. They expect port 5672, so this runs in a network
# namespace of its own where it may. With --rhea-examples DIR also those of rhea's source tree, for
# which `require('rhea')` and `minimist` must be found from DIR.
set -uo pipefail

usage() {
  cat <<'TEXT'
usage: tests/interop/examples.sh [--broker BINARY] [--workers N] [--rhea-examples DIR]
Needs libqpid-proton11-dev-examples; prints `case ok|FAIL SECONDS NAME` for each.
TEXT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
broker=$here/../../build/dev/whimbrel
workers=1
rhea_examples=
arguments=("$@")
while [ $# -gt 0 ]; do
  case $1 in
    --broker) broker=$2; shift ;;
    --workers) workers=$2; shift ;;
    --rhea-examples) rhea_examples=$2; shift ;;
    --help | -h) usage; exit 0 ;;
    *) echo "examples.sh: unknown argument: $1" >&2; exit 2 ;;
  esac
  shift
done

shipped=/usr/share/proton/examples
if [ -z "${WHIMBREL_EXAMPLES_INSIDE-}" ]; then
  export WHIMBREL_EXAMPLES_INSIDE=yes
  if unshare --net true 2>/dev/null; then
    exec unshare --net "$0" "${arguments[@]}"
  elif (exec 3<>/dev/tcp/127.0.0.1/5672) 2>/dev/null; then
    echo "skipped: examples: port 5672 is taken, and no network namespace can be made"
    exit 0
  fi
elif command -v ip >/dev/null; then
  ip link set lo up
fi

scratch=$(mktemp -d "${TMPDIR:-/tmp}/whimbrel-examples.XXXXXX")
broker_pid=
server_pid=
cleanup() {
  for pid in $server_pid $broker_pid; do kill -9 "$pid" 2>/dev/null; done
  rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

failed=0
# check NAME EXPECTED COMMAND...: it must exit 0 within 30 s and print EXPECTED (a regular
# expression for a whole line).
check() {
  local name=$1 expected=$2 began ended out status=0
  shift 2
  began=$(date +%s.%N)
  out=$(timeout 30 "$@" 2>&1) || status=$?
  ended=$(date +%s.%N)
  if [ "$status" -eq 0 ] && grep -Eqx -- "$expected" <<<"$out"; then
    printf 'case ok %.2f %s\n' "$(bc_less "$began" "$ended")" "$name"
  else
    failed=1
    printf 'case FAIL %.2f %s | exit code %s, %s\n' "$(bc_less "$began" "$ended")" "$name" \
      "$status" "$(tr '\n' ' ' <<<"$out" | tail -c 300)"
  fi
}
bc_less() { awk -v a="$1" -v b="$2" 'BEGIN { print b - a }'; }

# with_server COMMAND...: what answers the requests of `client`; ended by end_server.
with_server() {
  "$@" >"$scratch/server.log" 2>&1 &
  server_pid=$!
}
end_server() {
  kill "$server_pid" 2>/dev/null
  wait "$server_pid" 2>/dev/null
  server_pid=
}

"$broker" broker --listen 127.0.0.1:5672 --listen '[::1]:5672' --data "$scratch/data" \
  --workers "$workers" 2>"$scratch/broker.log" &
broker_pid=$!
for _ in $(seq 300); do
  grep -q 'listening on 127.0.0.1:5672' "$scratch/broker.log" && break
  kill -0 "$broker_pid" 2>/dev/null || break
  sleep 0.1
done
if ! grep -q 'listening on 127.0.0.1:5672' "$scratch/broker.log"; then
  echo "case FAIL 0 the broker listens on port 5672 | $(tail -n 3 "$scratch/broker.log" |
    tr '\n' ' ')"
  exit 1
fi

answer='Twas brillig, and the slithy toves => TWAS BRILLIG, AND THE SLITHY TOVES'
confirmed='all messages confirmed'
last='.*sequence.*100.*'

if [ -d "$shipped/python" ]; then
  python=(/usr/bin/python3)
  examples=$shipped/python
  check "python helloworld" 'Hello World!' "${python[@]}" "$examples/helloworld.py"
  check "python helloworld_blocking" 'Hello World!' \
    "${python[@]}" "$examples/helloworld_blocking.py"
  check "python simple_send" "$confirmed" "${python[@]}" "$examples/simple_send.py"
  check "python simple_recv" "$last" "${python[@]}" "$examples/simple_recv.py"
  with_server "${python[@]}" "$examples/server.py"
  check "python client with server" "$answer" "${python[@]}" "$examples/client.py"
  check "python sync_client with server" "$answer" "${python[@]}" "$examples/sync_client.py"
  end_server
else
  echo "skipped: Python examples: libqpid-proton11-dev-examples is not installed"
fi

if [ -d "$shipped/cpp" ] && command -v g++ >/dev/null; then
  for name in helloworld simple_send simple_recv server client; do
    g++ -std=c++17 -O0 -I "$shipped/cpp" "$shipped/cpp/$name.cpp" -o "$scratch/$name" \
      -lqpid-proton-cpp -lpthread >"$scratch/build.log" 2>&1 ||
      echo "case FAIL 0 building $name.cpp | $(tail -n 2 "$scratch/build.log" | tr '\n' ' ')"
  done
  check "c++ helloworld" 'Hello World!' "$scratch/helloworld"
  check "c++ simple_send" "$confirmed" "$scratch/simple_send"
  check "c++ simple_recv" "$last" "$scratch/simple_recv"
  with_server "$scratch/server"
  check "c++ client with server" "$answer" "$scratch/client"
  end_server
else
  echo "skipped: C++ examples: libqpid-proton11-dev-examples or g++ is not installed"
fi

if [ -f "$shipped/c/send.c" ] && command -v gcc >/dev/null; then
  for name in send receive; do
    gcc -w -I "$shipped/c" "$shipped/c/$name.c" -o "$scratch/c_$name" -lqpid-proton \
      >"$scratch/build.log" 2>&1 ||
      echo "case FAIL 0 building $name.c | $(tail -n 2 "$scratch/build.log" | tr '\n' ' ')"
  done
  check "c send" '10 messages sent and acknowledged' "$scratch/c_send" 127.0.0.1 5672 c-examples 10
  check "c receive" '10 messages received' "$scratch/c_receive" 127.0.0.1 5672 c-examples 10
fi

rhea=$here/rhea/node_modules/rhea
if command -v node >/dev/null && [ -f "$rhea/README.md" ]; then
  # The first block of JavaScript in the README is a whole program.
  sed -n '/^```js$/,/^```$/p' "$rhea/README.md" | sed '1d; /^```$/,$d' >"$scratch/helloworld.js"
  NODE_PATH=$here/rhea/node_modules check "rhea hello world of its README" 'Hello World!' \
    node "$scratch/helloworld.js"
else
  echo "skipped: rhea's example: no node, or rhea is not installed"
fi
if [ -n "$rhea_examples" ]; then
  check "rhea helloworld" 'Hello World!' node "$rhea_examples/helloworld.js"
  check "rhea simple_send" "$confirmed" node "$rhea_examples/simple_send.js"
  check "rhea simple_recv" '\{"sequence":100\}' node "$rhea_examples/simple_recv.js"
  with_server node "$rhea_examples/server.js"
  check "rhea client with server" "$answer" node "$rhea_examples/client.js"
  end_server
fi

kill "$broker_pid"
wait "$broker_pid"
status=$?
broker_pid=
if [ "$status" -ne 0 ]; then
  echo "case FAIL 0 the broker exits 0 after the examples | exit code $status"
  failed=1
fi
exit "$failed"
