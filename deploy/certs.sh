#!/bin/sh
# Creates what docker-compose.secure.yml needs for TLS, with openssl: a local certificate authority, and one certificate
# each for the broker and the store. Existing files that are valid for 30 more days stay as they are.
# Other users cannot access the folder. The keys inside are readable, because each image runs as a different user.
set -eu
umask 077
folder=${1:-deploy/certs}
command -v openssl > /dev/null || { echo "certs: openssl is needed" >&2; exit 1; }
mkdir -p "$folder"
cd "$folder"

good() { [ -s "$1" ] && openssl x509 -in "$1" -noout -checkend 2592000 > /dev/null 2>&1; }

if ! good ca.pem || [ ! -s ca.key ]; then
    rm -f broker.pem store.pem
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days 3650 -subj "/CN=AnimeVerse local CA" \
        -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout ca.key -out ca.pem 2> /dev/null
    echo "certs: made ca.pem" >&2
fi

# $1: the file name, $2: the service name on its network. Clients on this machine use localhost or 127.0.0.1.
certificate() {
    if good "$1.pem" && [ -s "$1.key" ] && openssl verify -CAfile ca.pem "$1.pem" > /dev/null 2>&1; then return; fi
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -subj "/CN=$2" \
        -keyout "$1.key" -out "$1.csr" 2> /dev/null
    printf '%s\n' "subjectAltName=DNS:$2,DNS:localhost,IP:127.0.0.1" "extendedKeyUsage=serverAuth" \
        "basicConstraints=critical,CA:FALSE" "keyUsage=critical,digitalSignature" \
        "subjectKeyIdentifier=hash" "authorityKeyIdentifier=keyid" > "$1.ext"
    openssl x509 -req -sha256 -days 825 -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -extfile "$1.ext" \
        -out "$1.pem" 2> /dev/null
    rm "$1.csr" "$1.ext"
    echo "certs: made $1.pem for $2, localhost and 127.0.0.1" >&2
}
certificate broker redpanda
certificate store rustfs
chmod 644 ca.pem broker.pem broker.key store.pem store.key
