#!/bin/sh
# The one program of the shop's images.
case "$1" in
serve) exec serve ;;
work) exec work ;;
health) exec healthy ;;
*)
    echo "usage: /app serve|work|health" >&2
    exit 2
    ;;
esac
