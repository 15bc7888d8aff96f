#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The image and its compose file with a real Docker engine. See --help.
set -eu

usage() {
  cat <<'END'
usage: tests/docker/run.sh [--port PORT] [--keep]

Builds the image, brings each profile of docker/docker-compose.yml up, waits until
it is healthy, sends a message from outside, kills the broker's process with
kill -9, waits until it is healthy again, and receives the message. Needs a Docker
engine that can be reached, docker-compose, python3-qpid-proton, and the right to
kill the container's process; without them it says what is missing, and skips.

  --port   the port on loopback that is published (35672)
  --keep   leave the image behind
The last line is `N passed, N failed[, N skipped]`.
END
}

here=$(cd "$(dirname "$0")" && pwd)
file=$here/../../docker/docker-compose.yml
port=35672 keep=
while [ $# -gt 0 ]; do
  case $1 in
    --port) port=$2; shift ;;
    --keep) keep=1 ;;
    --help | -h) usage; exit 0 ;;
    *) echo "run.sh: unknown argument: $1; see --help" >&2; exit 2 ;;
  esac
  shift
done

skip() {
  echo "skipped: $*"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
}
[ "$(id -u)" -eq 0 ] || skip "not root, who alone may kill the container's process"
docker info >/dev/null 2>&1 || skip "no Docker engine"
if docker compose version >/dev/null 2>&1; then
  compose="docker compose"
elif command -v docker-compose >/dev/null; then
  compose=docker-compose
else
  skip "no docker-compose"
fi
/usr/bin/python3 -c 'import proton' 2>/dev/null || skip "no python3-qpid-proton"

# An image and a project of its own: what somebody runs here by the same compose file stays.
export WHIMBREL_PORT="$port" WHIMBREL_IMAGE=whimbrel-test DOCKER_BUILDKIT=1
export COMPOSE_PROJECT_NAME="whimbrel-test-$$"
log=$(mktemp)
running=  # the profile that is up
down() { $compose -f "$file" down -v --remove-orphans && running=; }
finish() {
  if [ -n "$running" ] && ! down; then
    echo "run.sh: what $COMPOSE_PROJECT_NAME has left behind is still there" >&2
  fi
  if [ -z "$keep" ] && [ -n "$(docker image ls -q "$WHIMBREL_IMAGE")" ]; then
    docker image rm -f "$WHIMBREL_IMAGE" >/dev/null
  fi
  rm -f "$log"
}
trap finish EXIT
trap 'exit 130' INT TERM

passed=0 failed=0
# check NAME COMMAND...
check() {
  name=$1
  shift
  if "$@" >"$log" 2>&1; then
    passed=$((passed + 1))
    echo "ok   $name"
  else
    failed=$((failed + 1))
    echo "FAIL $name"
    tail -n 20 "$log"
  fi
}

state() { docker inspect -f "$1" "$broker"; }
# healthy: within 60 s.
healthy() {
  for _ in $(seq 120); do
    [ "$(state '{{.State.Health.Status}}')" = healthy ] && return
    sleep 0.5
  done
  docker logs "$broker"
  return 1
}
# killed PID: 0 would be ourselves.
killed() { [ "$1" -gt 1 ] && kill -9 "$1"; }
# restarted PID: the broker runs again, as another process.
restarted() {
  for _ in $(seq 120); do
    now=$(state '{{.State.Pid}}')
    [ "$now" -ne 0 ] && [ "$now" -ne "$1" ] && return
    sleep 0.5
  done
  return 1
}
manners() {
  [ "$(docker exec "$broker" id -u)" = 5672 ] || { echo "runs as another user"; return 1; }
  ! docker exec "$broker" touch /usr/bin/x || { echo "its root can be written"; return 1; }
  docker exec "$broker" test -s /usr/share/whimbrel/packages.txt
}
# What the consumer of the sample prints is what its producer sends.
flows() {
  for _ in $(seq 60); do
    lines=$($compose -f "$file" logs --no-color consumer 2>/dev/null | grep -c ' 20[0-9][0-9]')
    [ "$lines" -ge 3 ] && return
    sleep 0.5
  done
  $compose -f "$file" logs --no-color
  return 1
}
ends() {
  docker stop "$broker" >/dev/null
  code=$(state '{{.State.ExitCode}}')
  [ "$code" -eq 0 ] || { echo "exit code $code"; return 1; }
}

for profile in single sample; do
  export COMPOSE_PROFILES=$profile
  check "$profile: the image is built" $compose -f "$file" build
  running=$profile
  check "$profile: up" $compose -f "$file" up -d
  broker=$($compose -f "$file" ps -q broker)
  [ -n "$broker" ] || break
  check "$profile: healthy" healthy
  check "$profile: not root, its root file system read-only" manners
  check "$profile: a message from outside is accepted" \
    /usr/bin/python3 "$here/message.py" send "$port" "$profile"
  [ "$profile" = single ] || check "sample: producer and consumer talk" flows
  pid=$(state '{{.State.Pid}}')
  check "$profile: kill -9" killed "$pid"
  check "$profile: runs again" restarted "$pid"
  check "$profile: healthy again" healthy
  check "$profile: the message is still there" \
    /usr/bin/python3 "$here/message.py" receive "$port" "$profile"
  check "$profile: docker stop ends it with exit code 0" ends
  check "$profile: down" down
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
