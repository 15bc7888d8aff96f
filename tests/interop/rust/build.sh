#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build.sh DIRECTORY: builds the Rust program into it, crates included. Exit code 77, with the
# reason as the last line, where that cannot be done here.
set -eu
cd "$(dirname "$0")"
out=$1
# shellcheck source=tests/interop/toolchain.sh
. ../toolchain.sh

command -v cargo >/dev/null || skip "no Rust toolchain"
export CARGO_HOME="$out/cargo" CARGO_TARGET_DIR="$out/target"
needed=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
have=$(rustc --version | cut -d ' ' -f 2)
at_least "$needed" "$have" || skip "Rust $have is older than $needed, which fe2o3-amqp wants"
mkdir -p "$out"
if ! timeout -k 5 120 cargo fetch --locked >"$out/download.log" 2>&1; then
  skip "the registry gives no fe2o3-amqp: $(tail -n 1 "$out/download.log")"
fi
timeout -k 5 450 cargo build --quiet --locked --offline
