#!/bin/sh
# Starts the broker without `--mode dev-container`, which disables fsync and enables write caching: acknowledged records
# must be durable. rpk rewrites its configuration, so it gets a copy.
# The first start creates the user, also without the secure file, which can then be added later over the same data.
set -eu
mkdir -p /tmp/redpanda
cp /etc/stack/redpanda.yaml /tmp/redpanda/redpanda.yaml
cp /etc/stack/bootstrap.yaml /tmp/redpanda/.bootstrap.yaml
RP_BOOTSTRAP_USER="animeverse:$(cat /run/secrets/broker_password):SCRAM-SHA-256"
export RP_BOOTSTRAP_USER
exec rpk redpanda start --config /tmp/redpanda/redpanda.yaml \
    --overprovisioned --smp 1 --memory 768M --reserve-memory 0M --check=false --unsafe-bypass-fsync=false
