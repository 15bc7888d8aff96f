#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the build needs, builds the broker and runs it in the foreground. See --help.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=broker/packages.sh
. "$top/broker/packages.sh"

usage() {
  cat <<'TEXT'
usage: broker/run.sh [flags of `whimbrel broker`]

Sets everything up on Debian 12, then runs the broker in the foreground: installs
the packages that are missing (as root or through sudo, never removing any),
builds build/release/whimbrel, and hands over to it with the flags given. Does
nothing that has been done before, and says nothing then.

  broker/run.sh                          listen on 127.0.0.1:5672 and [::1]:5672,
                                         keep messages in ./.data
  broker/run.sh --listen 127.0.0.1:0     pick a port and log it
  broker/run.sh --config whimbrel.toml   settings from a file
  broker/run.sh --version                build and print the version

TEXT
}

binary=$top/build/release/whimbrel
case ${1-} in
  --help | -h)
    usage
    if [ -x "$binary" ]; then
      "$binary" broker --help
    else
      echo "The flags are printed here once the broker has been built."
    fi
    exit 0
    ;;
esac

require_packages "${build_packages[@]}"
build_preset release whimbrel
exec "$binary" broker "$@"
