#!/bin/sh
# Ends with code 0 when the stand-in of this container is ready and answers. FAIL_HEALTH=1 makes it fail.
if [ "$FAIL_HEALTH" = 1 ]; then
    echo "unhealthy: FAIL_HEALTH=1" >&2
    exit 1
fi
if ! read -r port 2>/dev/null </dev/shm/ready; then
    echo "unhealthy: not ready yet" >&2
    exit 1
fi
# Not `wget -T 2`: Debian's busybox is built without that option and ends in a segmentation fault.
[ "$port" = none ] || exec timeout 2 wget -q -O /dev/null "http://127.0.0.1:$port/up"
