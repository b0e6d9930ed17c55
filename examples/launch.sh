#!/bin/sh
# Launches a run with nothing but curl, follows it, and has its record and model verified.
#   launch.sh task.json out/        with CONSILIUM_COORDINATOR and CONSILIUM_API_KEY set
set -eu
task=$1 out=$2
url=${CONSILIUM_COORDINATOR:-http://127.0.0.1:7410}
mkdir -p "$out"

# The key comes to curl by its stdin: on a command line every user of this machine could read it.
api() {
  path=$1
  shift
  printf 'header = "Authorization: Bearer %s"\n' "$CONSILIUM_API_KEY" |
    curl --config - --silent --show-error --fail-with-body "$@" "$url$path"
}
# One member of an object, where its value is a text. Of an event that holds two of a name, the first.
member() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" | head -n 1; }

# Sent again under the same key, it launches no second run.
once=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
run=$(api /v1/runs --header 'Content-Type: application/json' --header "Idempotency-Key: $once" \
  --retry 3 --retry-all-errors --data-binary "@$task" | member id)
echo "run      $run"

# An event stream that breaks is taken up after the last event that came whole, which the empty line after it tells.
last=-1 failures=0
status=
while [ -z "$status" ]; do
  api "/v1/runs/$run/events?after=$last" --no-buffer --header 'Accept: text/event-stream' >"$out/stream" || {
    failures=$((failures + 1))
    [ "$failures" -lt 300 ] || exit 10
    sleep 1
  }
  awk '/^id: /{id=substr($0,5)} /^data: /{data=substr($0,7)} /^$/{if(data!="")print id "\t" data; data=""}' \
    "$out/stream" >"$out/whole"
  cut -f 2- "$out/whole" >>"$out/events.ndjson"
  seq=$(tail -n 1 "$out/whole" | cut -f 1)
  last=${seq:-$last}
  status=$(sed -n 's/.*"type":"run\.\(completed\|failed\|stopped\)".*/\1/p' "$out/events.ndjson" | head -n 1)
done
rm "$out/stream" "$out/whole"
echo "ended    $status after $(grep -c '"type":"round.completed"' "$out/events.ndjson") rounds"
[ "$status" = completed ] || exit 7

api "/v1/runs/$run/bundle" --output "$out/run.car"
consilium verify "$out/run.car" --json >"$out/verdict.json"
model=$(api "/v1/runs/$run" | member model)
# The verdict names the model that it redid: the one that is downloaded has to be that one.
grep -q "\"model\":\"$model\"" "$out/verdict.json"
curl --silent --show-error --fail "$url/ipfs/$model?format=raw" --output "$out/model.cbor"
echo "model    $model"
echo "verified $(wc -c <"$out/run.car") bytes"
