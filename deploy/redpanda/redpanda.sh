#!/bin/sh
# Starts the broker. Not with `--mode dev-container`, which turns fsync off and write caching on: here, what is
# acknowledged is kept. rpk rewrites its configuration, so it gets a copy.
# The user is made at the first start, also without the secure file: it can be switched on later over the same data.
set -eu
mkdir -p /tmp/redpanda
cp /etc/stack/redpanda.yaml /tmp/redpanda/redpanda.yaml
cp /etc/stack/bootstrap.yaml /tmp/redpanda/.bootstrap.yaml
RP_BOOTSTRAP_USER="animeverse:$(cat /run/secrets/broker_password):SCRAM-SHA-256"
export RP_BOOTSTRAP_USER
exec rpk redpanda start --config /tmp/redpanda/redpanda.yaml \
    --overprovisioned --smp 1 --memory 768M --reserve-memory 0M --check=false --unsafe-bypass-fsync=false
