#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build.sh DIRECTORY: builds the Java programs into it, Maven's repository included: NAME/lib and
# NAME/classes for each folder NAME here. Exit code 77, with the reason as the last line, where that
# cannot be done here. What has been done for these very sources is not done again.
set -eu
cd "$(dirname "$0")"
out=$1
copy=org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies
# shellcheck source=tests/interop/toolchain.sh
. ../toolchain.sh

# libraries NAME: those of NAME/pom.xml, which must be the octets that NAME/libraries.sha256 says.
libraries() {
  cmp -s "$1/libraries.sha256" "$out/$1/lib.done" && return
  rm -rf "$out/$1/lib"
  mkdir -p "$out/$1"
  if ! timeout -k 5 240 mvn -q -B -f "$1/pom.xml" "-Dmaven.repo.local=$out/repository" \
    "-DoutputDirectory=$out/$1/lib" "$copy" >"$out/$1/download.log" 2>&1; then
    skip "Maven's registry does not give the libraries of $1: $(grep -m 1 ERROR \
      "$out/$1/download.log" || tail -n 1 "$out/$1/download.log")"
  fi
  (cd "$out/$1/lib" && sha256sum --quiet --strict -c -) <"$1/libraries.sha256"
  cp "$1/libraries.sha256" "$out/$1/lib.done"
}

# classes NAME: NAME/*.java and what the programs share.
classes() {
  cat Interop.java "$1"/*.java >"$out/$1/sources"
  cmp -s "$out/$1/sources" "$out/$1/sources.done" && return
  rm -rf "$out/$1/classes"
  timeout -k 5 200 javac --release 17 -encoding UTF-8 -Xlint:all,-classfile -Werror \
    -cp "$out/$1/lib/*" -d "$out/$1/classes" Interop.java "$1"/*.java
  mv "$out/$1/sources" "$out/$1/sources.done"
}

command -v javac >/dev/null || skip "no JDK"
command -v mvn >/dev/null || skip "no Maven"
version=$(javac -version 2>&1 | sed 's/^javac \([0-9]*\).*/\1/')
at_least 17 "$version" || skip "JDK $version is older than 17"
for name in jms rabbitmq; do
  libraries "$name"
  classes "$name"
done
