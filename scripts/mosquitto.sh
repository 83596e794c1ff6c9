#!/bin/sh
# Install mosquitto, and mosquitto_pub which `bench publish` is measured against, with apt-get unless they are there.
# Nothing here starts it: demo and tests run brokers of their own, on free ports, with their own configuration.
set -eu

PATH=$PATH:/usr/sbin:/sbin
command -v mosquitto >/dev/null && command -v mosquitto_pub >/dev/null ||
    exec "$(dirname "$0")/apt.sh" mosquitto mosquitto-clients
