#!/bin/sh
# UCI Online Retail through all layers: file -> events -> log -> bronze -> silver -> gold -> proof.
#   sh examples/online_retail/run.sh PATH [FOLDER]      FOLDER (default data/online_retail) must not exist yet
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
path=${1:?usage: run.sh PATH-to-online-retail.parquet-or-.csv [FOLDER]}
python=${PYTHON:-python}
folder=${2:-data/online_retail}
if [ -e "$folder" ]; then
    echo "run.sh: $folder exists; events sent twice would count as too late: remove it or name another folder" >&2
    exit 2
fi
export ANIMEVERSE_HOME="$folder/home" ANIMEVERSE_CURRENCY=GBP

"$python" "$here/to_events.py" "$path" --out "$folder/events"
for topic in customer-profiles product-catalog pos-transactions; do
    "$python" -m animeverse produce --topic "$topic" --file "$folder/events/$topic.ndjson" --timestamps event_time
done
"$python" -m animeverse run all --once
"$python" -m animeverse reconcile
"$python" -m animeverse verify
"$python" "$here/reconcile.py" "$path"
