#!/bin/sh
# Starts the REST catalog: Iceberg's own adapter over a JDBC catalog in SQLite on a volume. It writes the tables'
# metadata files itself and so needs the store's keys; with STORE_CA it trusts that authority and no other.
set -eu
AWS_ACCESS_KEY_ID=$(cat /run/secrets/store_access_key)
AWS_SECRET_ACCESS_KEY=$(cat /run/secrets/store_secret_key)
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
set -- -Xms32m -Xmx192m -XX:+UseSerialGC
if [ -n "${STORE_CA:-}" ]; then
    rm -f /tmp/trust.jks
    # A key store that holds certificates only: the word protects nothing, keytool insists on one.
    keytool -importcert -noprompt -alias store -file "$STORE_CA" -keystore /tmp/trust.jks -storetype JKS -storepass insisted
    set -- "$@" -Djavax.net.ssl.trustStore=/tmp/trust.jks -Djavax.net.ssl.trustStoreType=JKS
fi
exec java "$@" -jar /usr/lib/iceberg-rest/iceberg-rest-adapter.jar
