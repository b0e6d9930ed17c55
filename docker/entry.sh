#!/bin/sh
# The container's entry: turns its environment into the command's flags and becomes the command, so that the process that
# Docker signals is the one that drains. Flags after the role come last, and the last one wins.
set -eu

fail() {
  printf 'error  %s\n  fix  %s\n' "$1" "$2" >&2
  exit 2
}

# yes NAME VALUE
yes() {
  case $2 in
    yes) return 0 ;;
    '' | no) return 1 ;;
    *) fail "$1 is yes or no, not $2" "set $1=yes, or leave it out" ;;
  esac
}

# readable NAME FILE
readable() {
  [ -f "$2" ] && [ -r "$2" ] && return
  fail "$1 names $2, which uid $(id -u) cannot read" \
    "mount a file there that this user may read; a secret from a file keeps the mode that it has on the host"
}

[ "$(id -u)" != 0 ] || fail 'this does not run as root' \
  'leave out user: and --user, the image has a user of its own; or give one that is not 0'

role=${1:-}
case $role in
  coordinator | node) shift ;;
  '') fail 'nothing to run' 'say coordinator, node, or a command such as: consilium node id' ;;
  *) exec "$@" ;;
esac

state=${CONSILIUM_HOME:-}
[ -n "$state" ] || fail 'CONSILIUM_HOME names no folder to keep state in' 'set it to where a volume is mounted'
if [ ! -d "$state" ] || [ ! -w "$state" ]; then
  fail "uid $(id -u) cannot write the state folder $state" \
    "mount a named volume there; a folder of the host needs: chown $(id -u):$(id -g) <folder>"
fi

if [ -n "${CONSILIUM_ALLOW_FILE:-}" ]; then
  readable CONSILIUM_ALLOW_FILE "$CONSILIUM_ALLOW_FILE"
  set -- --allow "$CONSILIUM_ALLOW_FILE" "$@"
fi
# Node itself only warns, and every coordinator would then look like an impostor's.
[ -z "${NODE_EXTRA_CA_CERTS:-}" ] || readable NODE_EXTRA_CA_CERTS "$NODE_EXTRA_CA_CERTS"

if [ "$role" = node ]; then
  [ -n "${CONSILIUM_DATA:-}" ] || fail 'CONSILIUM_DATA names no data to train on' \
    'mount a CSV file, or a folder with images.idx and labels.idx, read-only, and name it in CONSILIUM_DATA'
  [ -n "${CONSILIUM_COORDINATOR:-}" ] || fail 'CONSILIUM_COORDINATOR names no coordinator' \
    'set it to an address such as https://coordinator.example:7410'
  set -- --data "$CONSILIUM_DATA" "$@"
  [ -z "${CONSILIUM_POPULATION:-}" ] || set -- --population "$CONSILIUM_POPULATION" "$@"
  [ -z "${CONSILIUM_COHORT_MIN:-}" ] || set -- --cohort-min "$CONSILIUM_COHORT_MIN" "$@"
  [ -z "${CONSILIUM_MAX_CORRUPT:-}" ] || set -- --max-corrupt "$CONSILIUM_MAX_CORRUPT" "$@"
  [ -z "${CONSILIUM_MIN_CELL:-}" ] || set -- --min-cell "$CONSILIUM_MIN_CELL" "$@"
  [ -z "${CONSILIUM_BACKEND:-}" ] || set -- --backend "$CONSILIUM_BACKEND" "$@"
  if yes CONSILIUM_WITHHOLD_EVALUATION "${CONSILIUM_WITHHOLD_EVALUATION:-}"; then set -- --withhold-evaluation "$@"; fi
  exec consilium node up "$@"
fi

if [ -n "${CONSILIUM_TLS_CERT_FILE:-}${CONSILIUM_TLS_KEY_FILE:-}" ]; then
  if [ -z "${CONSILIUM_TLS_CERT_FILE:-}" ] || [ -z "${CONSILIUM_TLS_KEY_FILE:-}" ]; then
    fail 'TLS needs both its files' 'set CONSILIUM_TLS_CERT_FILE and CONSILIUM_TLS_KEY_FILE'
  fi
  readable CONSILIUM_TLS_CERT_FILE "$CONSILIUM_TLS_CERT_FILE"
  readable CONSILIUM_TLS_KEY_FILE "$CONSILIUM_TLS_KEY_FILE"
  set -- --host 0.0.0.0 --tls-cert "$CONSILIUM_TLS_CERT_FILE" --tls-key "$CONSILIUM_TLS_KEY_FILE" "$@"
else
  echo 'no TLS files: only what shares the network namespace of this container reaches it, such as a proxy that ends TLS' >&2
fi
# A URL with a password in the environment is there for everyone who may call docker inspect.
[ -z "${CONSILIUM_REDIS:-}" ] || fail 'CONSILIUM_REDIS is set in the environment, where docker inspect shows its password' \
  'put the URL into a file, mount it as a secret and name it in CONSILIUM_REDIS_FILE'
if [ -n "${CONSILIUM_REDIS_FILE:-}" ]; then
  readable CONSILIUM_REDIS_FILE "$CONSILIUM_REDIS_FILE"
  IFS= read -r CONSILIUM_REDIS <"$CONSILIUM_REDIS_FILE" || [ -n "$CONSILIUM_REDIS" ] ||
    fail "CONSILIUM_REDIS_FILE names $CONSILIUM_REDIS_FILE, which is empty" 'write the URL of Redis into it, on one line'
  export CONSILIUM_REDIS
fi
if yes CONSILIUM_REDIS_TRUSTED "${CONSILIUM_REDIS_TRUSTED:-}"; then set -- --redis-trusted "$@"; fi
if yes CONSILIUM_OPEN "${CONSILIUM_OPEN:-}"; then set -- --open "$@"; fi
[ -z "${CONSILIUM_PORT:-}" ] || set -- --port "$CONSILIUM_PORT" "$@"
[ -z "${CONSILIUM_GRACE_MS:-}" ] || set -- --grace "$CONSILIUM_GRACE_MS" "$@"
[ -z "${CONSILIUM_QUOTA_BYTES:-}" ] || set -- --quota "$CONSILIUM_QUOTA_BYTES" "$@"
[ -z "${CONSILIUM_LOG_LEVEL:-}" ] || set -- --log-level "$CONSILIUM_LOG_LEVEL" "$@"
exec consilium coordinator up "$@"
