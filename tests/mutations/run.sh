#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Breaks the code on purpose and expects a test to notice. See --help.
set -eu
exec python3 -B "$(dirname "$0")/run.py" "$@"
