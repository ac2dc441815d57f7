#!/usr/bin/env bash
# Installs the Debian packages of deploy/dependencies.txt that are missing. Sections to install are the arguments
# ("build", "test"). Uses sudo when not root. Says nothing when there is nothing to do.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
missing=()
for section in "$@"; do
  while read -r package; do
    if [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" != installed ]; then
      missing+=("$package")
    fi
  done < <(awk -v want="[$section]" '/^\[/ {on = ($1 == want); next} on && NF && $1 !~ /^#/ {print $1}' "$here/dependencies.txt")
done
[ ${#missing[@]} -gt 0 ] || exit 0
as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || {
    echo "these packages are missing: ${missing[*]}" >&2
    echo "installing them needs root, and there is no sudo here" >&2
    echo "next: as root, apt-get install ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo)
fi
echo "installing ${#missing[@]} Debian packages: ${missing[*]}"
# Servers that come along for the tests must not start by themselves.
policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
  made_policy=yes
fi
trap '[ -z "$made_policy" ] || "${as_root[@]}" rm -f "$policy"' EXIT
install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 \
    install -y --no-install-recommends "${missing[@]}" >/dev/null
}
install 2>/dev/null || {
  "${as_root[@]}" apt-get -qq -o DPkg::Lock::Timeout=600 update
  install
}
