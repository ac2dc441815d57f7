#!/usr/bin/env bash
# Configures and builds Ember in build/ (or $EMBER_BUILD). Arguments are ninja targets; none: everything.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${EMBER_BUILD:-$root/build}
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
if [ ! -e "$build/build.ninja" ]; then
  mkdir -p "$build"
  cmake -S "$root" -B "$build" -G Ninja ${EMBER_CMAKE_FLAGS:-} >"$build.configure.log" 2>&1 || {
    cat "$build.configure.log" >&2
    exit 1
  }
  rm -f "$build.configure.log"
fi
exec ninja -C "$build" "$@"
