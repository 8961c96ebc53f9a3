# What the two machines' scripts share; sourced. Every check ends the script if it fails.
set -euo pipefail

fail() {
    echo "FAILED: $*" >&2
    [[ ! -d /run/systemd/system ]] || { systemctl status --no-pager 'pagegate-*' || true; journalctl --no-pager -n 60 || true; } >&2
    exit 1
}
say() { echo "--- $*"; }

# want CODE COMMAND...: the command's exit code.
want() {
    local code=$1 got=0
    shift
    "$@" || got=$?
    [[ $got -eq $code ]] || fail "$*: exit code $got, want $code"
}

# says TEXT COMMAND...: the command's output has the text in it.
says() {
    local text=$1 out
    shift
    out=$("$@" 2>&1) || true
    [[ $out == *"$text"* ]] || fail "$*: want \"$text\" in: $out"
}

# configure: everything with the built-in site behind it, on ports that differ from the units'.
configure() {
    sed -i 's#^backend:.*#backend: "demo:"#; s#127.0.0.1:11211#127.0.0.1:21211#' /etc/pagegate/*.yaml
    sed -i 's#^PORT=.*#PORT="21211"#; s#^CACHESIZE=.*#CACHESIZE="32"#; s#^MAXCONN=.*#MAXCONN="99"#' /etc/default/pagegate-cacheserver
    sed -i 's#^PORT=.*#PORT="18082"#; s#^USER=.*#USER="games"#' /etc/default/pagegate-filler
    sed -i "s#^PORT=.*#PORT='18080'#; s#^OPTIONS=.*#OPTIONS=\"--admin 127.0.0.1:19090 --log-level warn\"#" /etc/default/pagegate-gateway
}

# serve checks that all three serve, with the settings above.
serve() {
    says 'STAT limit_maxbytes 33554432' ask_cacheserver stats
    says 'STAT max_connections 99' ask_cacheserver stats
    says '</html>' curl -sS http://127.0.0.1:18082/shop/1
    for _ in 1 2; do says '</html>' curl -sS http://127.0.0.1:18080/shop/2; done
    says 'pagegate; hit' curl -sS -D - -o /dev/null http://127.0.0.1:18080/shop/2
    says 'ok' curl -sS http://127.0.0.1:19090/healthz
    says 'pagegate' user_of pagegate-cacheserver
    says 'games' user_of pagegate-filler
    says 'pagegate' user_of pagegate-gateway
}

ask_cacheserver() { (exec 3<>/dev/tcp/127.0.0.1/21211 && printf '%s\r\nquit\r\n' "$1" >&3 && cat <&3); }

pid_of() { pgrep -f "^/usr/bin/$1 "; }

user_of() { ps -o user:32= -p "$(pid_of "$1")"; }

# changes lists what the root has that it did not have, but for logs, caches, the package manager's own books and what systemd keeps
# of a boot; and who is known to it.
changes() {
    (cd /mnt/changed && find . ! -type d -o -name '*pagegate*') | grep -Ev \
        '^\./(var/lib/(dpkg|systemd|apt)/|var/(log/[a-z]+\.log|log/journal|log/wtmp|cache)|etc/\.pwd\.lock$|etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|etc/(machine-id|mtab|hostname|resolv.conf)$)' | sort
    getent passwd; getent group; cat /etc/shadow /etc/gshadow
    find /run /tmp /dev/shm -name '*pagegate*'
}
