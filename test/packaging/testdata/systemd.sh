#!/usr/bin/env bash
# The package on a machine that systemd runs.
. /mnt/in/check.sh
programs=(pagegate-cacheserver pagegate-filler pagegate-gateway)
before=$(changes)

say install
dpkg -i /mnt/in/old.deb
for p in "${programs[@]}"; do
    want 3 systemctl is-active --quiet "$p"
    want 1 systemctl is-enabled --quiet "$p"
    want 0 systemctl try-restart "$p" # condrestart: does not start what does not run
    want 3 systemctl is-active --quiet "$p"
done

say 'the units are well-formed'
cd /usr/lib/systemd/system
verified=$(systemd-analyze verify "${programs[@]/%/.service}" "${programs[@]/%/.socket}" 2>&1 | grep -i pagegate || true)
[[ -z $verified ]] || fail "systemd-analyze verify: $verified"
mkdir /tmp/bad
sed 's/^NoNewPrivileges=/NoNewPrivilege=/' pagegate-filler.service >/tmp/bad/pagegate-filler.service
says "Unknown key 'NoNewPrivilege'" systemd-analyze verify /tmp/bad/pagegate-filler.service

say 'the units are closed'
for p in "${programs[@]}"; do
    systemd-analyze security --no-pager --threshold="$THRESHOLD" "$p.service" | tail -n 1
done
sed '/^CapabilityBoundingSet/d; /^SystemCall/d; /^User=/d' pagegate-filler.service >/tmp/bad/pagegate-filler.service
want 1 systemd-analyze security --offline=true --no-pager --threshold="$THRESHOLD" /tmp/bad/pagegate-filler.service >/dev/null
rm -r /tmp/bad

say start
configure
systemctl daemon-reload
for p in "${programs[@]}"; do
    want 0 systemctl start "$p"
    want 0 systemctl is-active --quiet "$p"
done
serve

say 'what the units forbid'
pid=$(pid_of pagegate-gateway)
says 'Seccomp:	2' cat "/proc/$pid/status"
says 'NoNewPrivs:	1' cat "/proc/$pid/status"
says 'CapBnd:	0000000000000000' cat "/proc/$pid/status"
want 1 nsenter -t "$pid" -m touch /etc/pagegate/x 2>/dev/null # read-only

say 'a user who is there only while the service runs'
sed -i "s#^USER=.*#USER=pagegate-own#" /etc/default/pagegate-gateway
systemctl daemon-reload
want 0 systemctl restart pagegate-gateway
says 'pagegate; ' curl -sS -D - -o /dev/null http://127.0.0.1:18080/shop/2
uid=$(stat -c %u "/proc/$(pid_of pagegate-gateway)")
[[ $uid -ge 61184 && $uid -le 65519 ]] || fail "the gateway's user is $uid"
sed -i "s#^USER=.*#USER=pagegate#" /etc/default/pagegate-gateway
systemctl daemon-reload
want 0 systemctl restart pagegate-gateway

say 'reload, restart'
for p in "${programs[@]}"; do
    pid=$(pid_of "$p")
    want 0 systemctl reload "$p"
    serve
    [[ $(pid_of "$p") == "$pid" ]] || fail "$p: a reload ended process $pid"
done
for p in "${programs[@]}"; do
    pid=$(pid_of "$p")
    want 0 systemctl try-restart "$p"
    [[ $(pid_of "$p") != "$pid" ]] || fail "$p: not restarted"
done
serve

say 'a warm restart keeps the items'
sed -i 's#^OPTIONS=.*#OPTIONS="-l 127.0.0.1 -e /run/pagegate-cacheserver/items"#' /etc/default/pagegate-cacheserver
systemctl restart pagegate-cacheserver
says STORED ask_cacheserver $'set k 0 0 5\r\nhello'
systemctl restart pagegate-cacheserver
says hello ask_cacheserver 'get k'

say 'socket activation'
for p in "${programs[@]}"; do
    systemctl stop "$p"
    systemctl start "$p.socket"
    want 3 systemctl is-active --quiet "$p"
done
serve # each first request starts its service
for p in "${programs[@]}"; do
    pid=$(pid_of "$p")
    systemctl kill --signal=KILL "$p"
    tail --pid="$pid" -f /dev/null
done
serve # systemd has kept the sockets: who comes meanwhile waits

say upgrade
pid=$(pid_of pagegate-gateway)
dpkg -i /mnt/in/new.deb
[[ $(pid_of pagegate-gateway) != "$pid" ]] || fail 'the upgrade did not restart the gateway'
says "$NEW" pagegate-gateway --version
serve

say 'remove, purge'
systemctl enable pagegate-filler.service pagegate-filler.socket
dpkg -r pagegate
for p in "${programs[@]}"; do
    want 1 pid_of "$p"
    want 3 systemctl is-active --quiet "$p.socket"
done
dpkg -P pagegate
diff <(echo "$before") <(changes) || fail 'the purge left something behind'
say done
