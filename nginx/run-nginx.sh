#!/usr/bin/env bash
# Runs the whole stack on this machine, as any user: nginx with the shipped configuration on 127.0.0.1:8081, a cacheserver
# on 11211 and a filler on 8082, before the backend that is given (demo: for the built-in site). Ctrl-C ends them all.
# All that they write is in a temporary folder, which goes with them.
set -euo pipefail

backend=${1:-demo:}
here=$(cd "$(dirname "$0")" && pwd)
bin=$here/../bin
export PATH="$PATH:/usr/sbin:/sbin"

command -v nginx >/dev/null || { echo "nginx is not installed: apt-get install nginx (or make test-deps)" >&2; exit 1; }
for program in cacheserver filler; do
    [[ -x $bin/$program ]] || { echo "bin/$program is not built: make build" >&2; exit 1; }
done

dir=$(mktemp -d)
chmod 755 "$dir" # nginx's workers are another user's when root starts it
pids=()

stop() {
    trap - EXIT INT TERM
    # nginx first: a request that it has begun still finds the filler, and that one the cache.
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
        kill -TERM "${pids[i]}" 2>/dev/null || true
        wait "${pids[i]}" 2>/dev/null || true
    done
    rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# await PID PORT NAME: until the program listens, ten seconds at most.
await() {
    for ((n = 0; n < 200; n++)); do
        if ! kill -0 "$1" 2>/dev/null; then
            echo "$3 ended; what it said stands above" >&2
            exit 1
        fi
        if (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null; then
            return
        fi
        sleep 0.05
    done
    echo "$3 does not listen on 127.0.0.1:$2" >&2
    exit 1
}

"$bin/cacheserver" -l 127.0.0.1 -p 11211 -m 64 -o page_keys &
pids+=($!)
await $! 11211 cacheserver
"$bin/filler" --listen 127.0.0.1:8082 --backend "$backend" --cache 127.0.0.1:11211 &
pids+=($!)
await $! 8082 filler
nginx -e stderr -p "$dir" -c "$here/nginx.conf" -g 'daemon off;' &
pids+=($!)
await $! 8081 nginx

cat <<'EOF'

nginx answers on http://127.0.0.1:8081/. Try:

  curl -i http://127.0.0.1:8081/shop/1                   a miss: the filler fetched the page and stored it
  curl -i http://127.0.0.1:8081/shop/1                   a hit: nginx found it in the cacheserver by itself
  printf 'get /shop/1?\r\nquit\r\n' | nc 127.0.0.1 11211   the page as the cacheserver holds it

The log below says hit, miss or bypass for each request. Stop with Ctrl-C.

EOF
# Until one of them ends or Ctrl-C.
wait -n "${pids[@]}" || true
echo "one of the programs has ended; stopping the others" >&2
exit 1
