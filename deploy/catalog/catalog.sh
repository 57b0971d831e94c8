#!/bin/sh
# Starts the REST catalog: Iceberg's own adapter over a JDBC catalog in SQLite on a volume. It writes the metadata files
# of the tables, so it needs the store's keys. With STORE_CA it trusts only that certificate authority.
set -eu
AWS_ACCESS_KEY_ID=$(cat /run/secrets/store_access_key)
AWS_SECRET_ACCESS_KEY=$(cat /run/secrets/store_secret_key)
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
set -- -Xms32m -Xmx192m -XX:+UseSerialGC
if [ -n "${STORE_CA:-}" ]; then
    rm -f /tmp/trust.jks
    # The key store contains only certificates. keytool requires a password, which protects nothing here.
    keytool -importcert -noprompt -alias store -file "$STORE_CA" -keystore /tmp/trust.jks -storetype JKS -storepass insisted
    set -- "$@" -Djavax.net.ssl.trustStore=/tmp/trust.jks -Djavax.net.ssl.trustStoreType=JKS
fi
exec java "$@" -jar /usr/lib/iceberg-rest/iceberg-rest-adapter.jar
