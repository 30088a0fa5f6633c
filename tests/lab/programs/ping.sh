#!/bin/sh
# The client of a server, for `redis-cli ping`, `mysqladmin ping` and `varnishadm ping`.
case " $* " in
*" ping "*) healthy && echo PONG ;;
*)
    echo "${0##*/}: this stand-in knows only ping" >&2
    exit 2
    ;;
esac
