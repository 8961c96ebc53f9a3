# What the three scripts in /etc/init.d share; sourced with NAME, DAEMON, STOP (the schedule of signals that end it) and the
# functions start_command and seeds (the settings before /etc/default is read). The actions are those that memcached's own
# script has: start, stop, status, restart, reload, force-reload, condrestart, try-restart.

PATH=/usr/sbin:/usr/bin:/sbin:/bin
rundir=/run/$NAME
pidfile=$rundir/$NAME.pid
logfile=/var/log/pagegate/$NAME.log

seeds
[ ! -r "/etc/default/$NAME" ] || . "/etc/default/$NAME"

# Exit codes as the LSB has them: 0 runs, 1 died and left its pid file, 3 does not run.
running() { start-stop-daemon --status --quiet --pidfile "$pidfile" --user "$USER"; }

start() {
    if running; then
        echo "$NAME runs already."
        return 0
    fi
    [ -x "$DAEMON" ] || { echo "$NAME: $DAEMON is not there." >&2; return 5; }
    install -d -m 755 /var/log/pagegate && install -d -o "$USER" -m 755 "$rundir" || return 4
    echo "Starting $NAME."
    start_command && return 0
    echo "$NAME did not start; $logfile may tell more." >&2
    stop >/dev/null
    return 1
}

stop() {
    echo "Stopping $NAME."
    code=0
    start-stop-daemon --stop --quiet --oknodo --retry "$STOP" --pidfile "$pidfile" --user "$USER" --remove-pidfile || code=$?
    return $code
}

status() {
    code=0
    running || code=$?
    case $code in
    0) echo "$NAME (pid $(cat "$pidfile")) is running." ;;
    1) echo "$NAME is dead, and its pid file is there." ;;
    *) echo "$NAME is stopped." ;;
    esac
    return $code
}

restart() { stop && start; }

reload() {
    running || { echo "$NAME is stopped." >&2; return 7; }
    start-stop-daemon --stop --quiet --signal HUP --pidfile "$pidfile" --user "$USER"
}

case "${1:-}" in
start | stop | status | restart | reload) "$1" ;;
force-reload) restart ;;
condrestart | try-restart) ! running || restart ;;
*)
    echo "Usage: $0 {start|stop|status|restart|reload|force-reload|condrestart|try-restart}" >&2
    exit 2
    ;;
esac
