#!/usr/bin/env bash
# memcached-suite.sh SRC [TEST...]: memcached's own tests (t/*.t of the built source tree SRC, but those of its proxy) against
# bin/cacheserver, first in plain, then over TLS if Perl's IO::Socket::SSL is there. TEST is a name like binary.t; JOBS (2) run at once;
# TLS=only or TLS=no leaves out the one or the other. Prints which tests fail and what they said.
set -uo pipefail

usage() { echo "usage: $0 SRC [TEST...]; SRC is memcached's source tree, unpacked and built (./configure --enable-tls && make)" >&2; exit 2; }
[[ $# -ge 1 ]] || usage
src=$1; shift
[[ -d $src/t/lib ]] || { echo "$src has no tests of memcached" >&2; usage; }
[[ -x $src/timedrun ]] || { echo "$src is not built: there is no timedrun" >&2; usage; }
server=$(cd "$(dirname "$0")/.." && pwd)/bin/cacheserver
[[ -x $server ]] || { echo "$server: build it first" >&2; exit 2; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work" # the server may run as another user
cp -r "$src/t" "$src/doc" "$src/timedrun" "$work/"
cp "$server" "$work/memcached"
cp "$server" "$work/memcached-debug"
cd "$work"

tests=("$@")
if [[ ${#tests[@]} -eq 0 ]]; then
    for t in t/*.t; do
        [[ $t == t/proxy* ]] || tests+=("${t#t/}")
    done
fi

# one MODE TEST: runs a test with its output in MODE/TEST.out, and says how it ended.
one() {
    local out=$1/$2.out code
    [[ $1 == plain ]] || export SSL_TEST=1
    timeout -k 10 600 perl -I t/lib "t/$2" >"$out" 2>&1 </dev/null
    code=$?
    # A test without a plan may die early and still end well; each has a plan line when it is whole.
    if [[ $code -ne 0 ]] || ! grep -qE '^1\.\.[0-9]+' "$out"; then
        echo "$2" >>"$1/failed"
        echo "not ok $1 $2 (exit code $code)"
    else
        echo "ok $1 $2$(grep -oE '^1\.\.0 # .*' "$out" | sed 's/^1\.\.0 #/ #/')"
    fi
}
export -f one

failed=0
run() {
    mkdir "$1"
    printf '%s\n' "${tests[@]}" | xargs -P "${JOBS:-2}" -I{} bash -c "one $1 {}"
    [[ -e $1/failed ]] || return 0
    failed=1
    local t
    while read -r t; do
        echo "== $1 $t"
        grep -vE '^ *ok ' "$1/$t.out" | head -60
    done <"$1/failed"
}

[[ ${TLS:-} == only ]] || run plain
if [[ ${TLS:-} == no ]]; then
    :
elif perl -e 'use IO::Socket::SSL' 2>/dev/null; then
    run tls
else
    echo "not run over TLS: Perl has no IO::Socket::SSL (Debian: libio-socket-ssl-perl)" >&2
fi
exit "$failed"
