#!/bin/sh
# Stands for a worker: serves nothing, lives until SIGTERM.
. /usr/local/lib/life.sh

echo none >/dev/shm/ready
echo "${0##*/}: working"
while :; do
    sleep 3600 &
    wait $!
done
