#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs rhea as package-lock.json pins it. Does nothing when that has been done for this lock.
set -eu
cd "$(dirname "$0")"
if [ -f node_modules/.installed ] && cmp -s package-lock.json node_modules/.installed; then
  exit 0
fi
npm ci --no-audit --no-fund --ignore-scripts --loglevel=error >/dev/null
cp package-lock.json node_modules/.installed
