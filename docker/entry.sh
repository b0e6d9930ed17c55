#!/bin/sh
# The container's entry: turns its environment into the command's flags and becomes the command, so that the process that
# Docker signals is the one that drains. Flags after the role come last, and the last one wins.
#
# CONSILIUM_KEEP_VECTORS=90 is --keep-vectors=90, and so is every variable that begins so: there is no list of flags here to
# fall behind the command's, and one that is misspelt is refused by the command instead of being passed over.
set -eu

fail() {
  printf 'error  %s\n  fix  %s\n' "$1" "$2" >&2
  exit 2
}

# secret NAME INSTEAD
secret() {
  fail "$1 is set in the environment, where docker inspect shows it" \
    "put it into a file, mount that as a secret and name the file in $2"
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

# What only looks like a variable, being a line of another one's value, has no value of its own.
value=
for name in $(env | sed -n 's/^\(CONSILIUM_[A-Z][A-Z0-9_]*\)=.*/\1/p' | sort -u); do
  eval "value=\${$name:-}"
  [ -n "$value" ] || continue
  case ${name#CONSILIUM_} in
    # What is read below, or from the environment by the command itself or by its clients in this container.
    HOME | ALLOW_FILE | TLS_CERT_FILE | TLS_KEY_FILE | REDIS_FILE) continue ;;
    COORDINATOR | COORDINATOR_KEY | API_KEY | PROFILE | WEBHOOK_SECRET) continue ;;
    REDIS) secret "$name" CONSILIUM_REDIS_FILE ;;
    KUBO_AUTHORIZATION) secret "$name" CONSILIUM_KUBO_KEY ;;
    KUBO_PRIVATE_AUTHORIZATION) secret "$name" CONSILIUM_KUBO_PRIVATE_KEY ;;
    ALLOW | TLS_CERT | TLS_KEY) fail "$name is not read here" "name the file in ${name}_FILE" ;;
    STATE) fail "$name is not read here" 'the state folder is CONSILIUM_HOME' ;;
  esac
  flag=--$(printf %s "${name#CONSILIUM_}" | tr '[:upper:]_' '[:lower:]-')
  case $value in
    yes) set -- "$flag" "$@" ;;
    no) ;;
    true | false | on | off) fail "$name is yes or no, not $value" "set $name=yes, or leave it out" ;;
    *)
      # A flag that may be given again has a line for each.
      while IFS= read -r line; do
        [ -z "$line" ] || set -- "$flag=$line" "$@"
      done <<EOF
$value
EOF
      ;;
  esac
done

if [ -n "${CONSILIUM_ALLOW_FILE:-}" ]; then
  readable CONSILIUM_ALLOW_FILE "$CONSILIUM_ALLOW_FILE"
  set -- --allow "$CONSILIUM_ALLOW_FILE" "$@"
fi
# Node itself only warns, and every coordinator would then look like an impostor's.
[ -z "${NODE_EXTRA_CA_CERTS:-}" ] || readable NODE_EXTRA_CA_CERTS "$NODE_EXTRA_CA_CERTS"

if [ "$role" = node ]; then
  [ -n "${CONSILIUM_DATA:-}" ] || [ "${CONSILIUM_PUBLIC:-}" = yes ] || fail 'CONSILIUM_DATA names no data to train on' \
    'mount a CSV file, or a folder with images.idx and labels.idx, read-only, and name it in CONSILIUM_DATA'
  [ -n "${CONSILIUM_COORDINATOR:-}" ] || fail 'CONSILIUM_COORDINATOR names no coordinator' \
    'set it to an address such as https://coordinator.example:7410'
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
if [ -n "${CONSILIUM_REDIS_FILE:-}" ]; then
  readable CONSILIUM_REDIS_FILE "$CONSILIUM_REDIS_FILE"
  IFS= read -r CONSILIUM_REDIS <"$CONSILIUM_REDIS_FILE" || [ -n "$CONSILIUM_REDIS" ] ||
    fail "CONSILIUM_REDIS_FILE names $CONSILIUM_REDIS_FILE, which is empty" 'write the URL of Redis into it, on one line'
  export CONSILIUM_REDIS
fi
exec consilium coordinator up "$@"
