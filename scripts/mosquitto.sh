#!/bin/sh
# Install mosquitto with apt-get unless it is there. Nothing here starts it: demo and tests run brokers of their own, on
# free ports, with their own configuration.
set -eu

PATH=$PATH:/usr/sbin:/sbin
command -v mosquitto >/dev/null || exec "$(dirname "$0")/apt.sh" mosquitto
