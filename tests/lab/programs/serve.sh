#!/bin/sh
# Stands for a server: answers HTTP on its port (or on $PORT) until SIGTERM. Arguments are ignored.
. /usr/local/lib/life.sh

read -r port </etc/port
port=${PORT:-$port}

if [ -d /var/lib/mysql ] && [ ! -s /var/lib/mysql/auto.cnf ]; then
    # Written once per volume: what a test compares to see that a volume was kept.
    cat /proc/sys/kernel/random/uuid >/var/lib/mysql/auto.cnf || exit 1
fi

httpd -f -p "$port" -h /www &
echo "$port" >/dev/shm/ready
echo "${0##*/}: listening on port $port"
wait $!
