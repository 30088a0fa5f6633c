# Read by every stand-in before it serves or works. Process 1 of a container ignores a signal it did
# not ask for, and a shell handles a signal only while it waits for a child in the background: so each
# stand-in traps TERM and waits, never sleeps in the foreground.
#   EXIT_AFTER=N   end with code 3 after N seconds, as a program that crashes
#   START_DELAY=N  be ready only after N seconds
trap 'exit 0' TERM INT
trap 'exit 3' USR1
rm -f /dev/shm/ready

if [ -n "$EXIT_AFTER" ]; then
    (sleep "$EXIT_AFTER" && kill -USR1 $$) &
fi
if [ -n "$START_DELAY" ]; then
    sleep "$START_DELAY" &
    wait $!
fi
