#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Real AMQP 1.0 clients against the built broker: Proton C++, Proton Python, rhea and, where there
# are the toolchains, go-amqp, fe2o3-amqp, Qpid JMS and RabbitMQ's Java client; one line a case,
# each program against a freshly started broker with 1 and with 3 workers.
set -eu

usage() {
  cat <<'END'
usage: tests/interop/run.sh [--broker BINARY] [--programs DIR] [--workers "1 3"]
                            [--clients "python c++ rhea go rust java examples"]
                            [--only REGEX] [--assert-times]
  --broker       default: build/dev/whimbrel
  --programs     where the C++ programs are, and those in other languages are built; default:
                 tests/interop beside the broker
  --only         cases whose "CLIENT NAME" matches (whole programs or suites but in Python)
  --assert-times start times are assertions, for an otherwise idle machine
The last line is `N passed, N failed, N skipped`; exit code 0 when nothing failed.
END
}

here=$(cd "$(dirname "$0")" && pwd)
broker=$here/../../build/dev/whimbrel
programs=
count=$#
while [ "$count" -gt 0 ]; do
  argument=$1
  shift
  count=$((count - 1))
  case $argument in
    --broker) broker=$1; shift; count=$((count - 1)) ;;
    --programs) programs=$1; shift; count=$((count - 1)) ;;
    --help|-h) usage; exit 0 ;;
    --assert-times) set -- "$@" "$argument" ;;
    --workers|--clients|--only)
      set -- "$@" "$argument" "$1"; shift; count=$((count - 1)) ;;
    *) echo "run.sh: unknown argument: $argument" >&2; usage >&2; exit 2 ;;
  esac
done
if [ ! -x "$broker" ]; then
  echo "run.sh: no broker at $broker; build it or name it with --broker" >&2
  exit 2
fi
broker=$(cd "$(dirname "$broker")" && pwd)/$(basename "$broker")
programs=${programs:-$(dirname "$broker")/tests/interop}

# Debian's python3-qpid-proton belongs to Debian's interpreter, not to any other on the PATH.
if ! /usr/bin/python3 -c 'import proton' 2>/dev/null; then
  echo "run.sh: python3-qpid-proton is missing: apt-get install python3-qpid-proton" >&2
  exit 2
fi
mkdir -p "$programs"
programs=$(cd "$programs" && pwd)
if command -v npm >/dev/null; then
  "$here/rhea/install.sh"
else
  echo "skipped: no npm, hence no rhea"
fi
exec /usr/bin/python3 "$here/run.py" --broker "$broker" --programs "$programs" "$@"
