#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build.sh DIRECTORY: builds the Go program into it, modules and caches included. Exit code 77, with
# the reason as the last line, where that cannot be done here.
set -eu
cd "$(dirname "$0")"
out=$1
# shellcheck source=tests/interop/toolchain.sh
. ../toolchain.sh

command -v go >/dev/null || skip "no Go toolchain"
export GOTOOLCHAIN=local GOFLAGS=-modcacherw GOPATH="$out/path" GOCACHE="$out/cache"
needed=$(sed -n 's/^go //p' go.mod)
have=$(cd / && go env GOVERSION | sed 's/^go//')
at_least "$needed" "$have" || skip "Go $have is older than $needed, which go-amqp wants"
mkdir -p "$out"
if ! timeout -k 5 120 go mod download >"$out/download.log" 2>&1; then
  skip "the module proxy gives no go-amqp: $(tail -n 1 "$out/download.log")"
fi
timeout -k 5 400 go build -o "$out/interop" .
