#!/usr/bin/env bash
# The package on a machine without systemd running: /etc/init.d has the actions that memcached's script has.
. /mnt/in/check.sh
programs=(pagegate-cacheserver pagegate-filler pagegate-gateway)
before=$(changes)

say install
dpkg -i /mnt/in/old.deb
says "$OLD" pagegate-gateway --version
for p in "${programs[@]}"; do
    says 'is stopped' service "$p" status
    want 3 service "$p" status
    want 0 service "$p" condrestart # does not start what does not run
    want 3 service "$p" status
    want 7 service "$p" reload
    want 2 service "$p" nonsense
done
says 'root pagegate 640' stat -c '%U %G %a' /etc/pagegate/gateway.yaml
says '.TH PAGEGATE' gzip -dc /usr/share/man/man7/pagegate.7.gz

say start
configure
for p in "${programs[@]}"; do
    want 0 service "$p" start
    want 0 service "$p" status
    want 0 service "$p" start # runs already
    says 'is running' service "$p" status
done
serve

say 'reload, restart'
for p in "${programs[@]}"; do
    pid=$(pid_of "$p")
    want 0 service "$p" reload
    serve
    [[ $(pid_of "$p") == "$pid" ]] || fail "$p: a reload ended process $pid"
done
for p in "${programs[@]}"; do
    for action in restart force-reload condrestart try-restart; do
        pid=$(pid_of "$p")
        want 0 service "$p" "$action"
        [[ $(pid_of "$p") != "$pid" ]] || fail "$p: $action kept process $pid"
    done
done
serve

say 'a process that died'
pid=$(pid_of pagegate-filler)
kill -KILL "$pid"
tail --pid="$pid" -f /dev/null
want 1 service pagegate-filler status
want 0 service pagegate-filler start
serve

say 'a start that fails'
want 0 service pagegate-gateway stop
sed -i 's/^ttl:.*/ttl: never/' /etc/pagegate/gateway.yaml
want 1 service pagegate-gateway start
want 3 service pagegate-gateway status
sed -i 's/^ttl:.*/ttl: 60s/' /etc/pagegate/gateway.yaml
want 0 service pagegate-gateway start

say upgrade
pid=$(pid_of pagegate-gateway)
dpkg -i /mnt/in/new.deb
says "$NEW" pagegate-gateway --version
[[ $(pid_of pagegate-gateway) != "$pid" ]] || fail 'the upgrade did not restart the gateway'
serve # the settings are kept
want 0 service pagegate-filler stop
dpkg -i /mnt/in/old.deb
want 3 service pagegate-filler status # stays stopped

say 'remove, purge'
dpkg -r pagegate
for p in "${programs[@]}"; do want 1 pid_of "$p"; done
[[ -e /etc/default/pagegate-gateway ]] || fail 'removing took the settings along'
dpkg -i /mnt/in/new.deb
want 0 service pagegate-cacheserver start
says 'STAT limit_maxbytes 33554432' ask_cacheserver stats
dpkg -P pagegate
for p in "${programs[@]}"; do want 1 pid_of "$p"; done
diff <(echo "$before") <(changes) || fail 'the purge left something behind'
say done
