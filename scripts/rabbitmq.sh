#!/bin/sh
# Install RabbitMQ with apt-get unless it is there. Debian may start a service of its own as it installs it: nothing here
# uses or touches that. `make cluster` runs nodes with their own names, ports, data and cookie.
set -eu

[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || exec "$(dirname "$0")/apt.sh" rabbitmq-server
