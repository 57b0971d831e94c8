#!/bin/sh
# Writes a random value into .env for each password of docker-compose.yml that it lacks; never changes an existing one.
# Neither `animeverse` nor Prefect reads these names, so a local `make demo` is unaffected.
set -eu
umask 077
file=${1:-.env}
touch "$file"
made=0
for name in STACK_BROKER_PASSWORD STACK_STORE_ACCESS_KEY STACK_STORE_SECRET_KEY STACK_DATABASE_PASSWORD STACK_JUPYTER_TOKEN
do
    case $(sed -n "s/^$name=//p" "$file") in
    '' | run-make-secrets*) ;;
    *) continue ;;
    esac
    value=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
    [ ${#value} -eq 48 ] || { echo "secrets: no random numbers from /dev/urandom" >&2; exit 1; }
    grep -v "^$name=" "$file" > "$file.new" || true
    echo "$name=$value" >> "$file.new"
    mv "$file.new" "$file"
    made=$((made + 1))
done
chmod 600 "$file"
echo "$file: $made made, $((5 - made)) were there" >&2
