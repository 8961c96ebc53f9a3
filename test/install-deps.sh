#!/usr/bin/env bash
# install-deps.sh [compose]: installs the real programs that the tests talk to, and the benchmarks' peers, from Debian's packages, and starts
# none of their services; with compose what `make test-compose` needs instead. Does nothing when all are there.
set -euo pipefail

# program=package; a C compiler is what Go's race detector needs.
needs=(
    nginx=nginx
    memcached=memcached
    memccapable=libmemcached-tools
    php=php-cli
    curl=curl
    gcc=gcc
    wrk=wrk
    haproxy=haproxy
    varnishd=varnish
    systemd-analyze=systemd
    ip=iproute2
    adduser=adduser
    pgrep=procps
    chromium=chromium
)
[[ ${1:-} != compose ]] || needs=(debootstrap=debootstrap docker-compose=docker-compose)
export PATH="$PATH:/usr/sbin:/sbin"

packages=()
for need in "${needs[@]}"; do
    command -v "${need%%=*}" >/dev/null || packages+=("${need#*=}")
done
if [[ ${1:-} != compose ]]; then
    if command -v php >/dev/null && ! php -m | grep -qix memcached || ! command -v php >/dev/null; then
        packages+=(php-memcached)
    fi
    if ! command -v php >/dev/null || ! php -m | grep -qx memcache; then
        packages+=(php-memcache)
    fi
    if ! [[ -x /usr/bin/python3 ]] || ! /usr/bin/python3 -c 'import pymemcache, pylibmc' 2>/dev/null; then
        packages+=(python3-pymemcache python3-pylibmc)
    fi
    if ! command -v saslpasswd2 >/dev/null; then
        packages+=(sasl2-bin libsasl2-modules) # the latter has memcached's PLAIN
    fi
fi
if [[ " ${packages[*]} " == *" gcc "* ]]; then
    packages+=(libc6-dev)
fi
if [[ ${#packages[@]} -eq 0 ]]; then
    exit 0
fi

root=()
if [[ $(id -u) -ne 0 ]]; then
    command -v sudo >/dev/null || {
        echo "the tests need these Debian packages: ${packages[*]}; install them as root, or install sudo" >&2
        exit 1
    }
    root=(sudo)
fi
if ! command -v apt-get >/dev/null; then
    echo "the tests need nginx, memcached, libmemcached-tools, php with its extensions memcached and memcache, Python with pymemcache and pylibmc, curl, sasl2-bin, gcc, wrk, haproxy, varnish, systemd, iproute2, adduser, procps and chromium (make test-compose also debootstrap and docker-compose); no apt-get here" >&2
    exit 1
fi

# Debian starts a service when its package is installed, unless this file says no. One that is there already stays.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
    "${root[@]}" chmod 755 "$policy"
    trap '"${root[@]}" rm -f "$policy"' EXIT
fi

echo "installing for the tests: ${packages[*]}"
"${root[@]}" apt-get update -qq
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
