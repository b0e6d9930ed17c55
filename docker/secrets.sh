#!/bin/sh
# docker/secrets.sh [NAME …]: makes, in docker/secrets, what the compose files mount: a certificate for these host names
# from an authority made for it, and a password for Redis. Nothing is printed that is secret, and nothing is made twice:
# put your own files there first and they stay.
#
# The folder is its owner's alone. The files in it can be read by all, because a file that Docker mounts keeps its mode
# and the containers run as other users than you: who cannot enter the folder cannot read them, and a container has only
# those that its service names.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
cd secrets

if [ ! -e tls-cert.pem ]; then
  names=
  for name in "$@" coordinator localhost; do
    case $name in
      *[!0-9.]*) names=$names,DNS:$name ;;
      *) names=$names,IP:$name ;;
    esac
  done
  curve='-pkeyopt ec_paramgen_curve:prime256v1'
  # shellcheck disable=SC2086 # two words
  openssl req -x509 -newkey ec $curve -nodes -days 365 -subj '/CN=consilium trial authority' \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign \
    -keyout authority-key.pem -out authority.pem 2>openssl.log
  # shellcheck disable=SC2086
  openssl req -newkey ec $curve -nodes -subj "/CN=${1:-coordinator}" -keyout tls-key.pem -out tls.csr 2>>openssl.log
  printf 'basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1%s\n' "$names" >tls.ext
  openssl x509 -req -in tls.csr -CA authority.pem -CAkey authority-key.pem -set_serial "0x$(openssl rand -hex 16)" \
    -days 365 -extfile tls.ext -out tls-cert.pem 2>>openssl.log
  # It has signed what it was made for: nobody can have it sign another.
  rm -f authority-key.pem tls.csr tls.ext openssl.log
  echo "tls-cert.pem, tls-key.pem: for a year, for ${names#,}; nodes trust it by authority.pem"
fi

if [ ! -e redis-url ]; then
  password=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
  hash=$(printf %s "$password" | sha256sum | cut -d ' ' -f 1)
  # Who has no password may ask whether Redis is alive. The coordinators may do what moves data, and read the settings
  # that they refuse to run without; they may neither change them nor see or end other clients.
  {
    echo 'user default on nopass resetkeys resetchannels -@all +ping'
    echo "user consilium on #$hash ~* &* +@all -@admin -@dangerous +info +config|get"
  } >redis.acl
  printf 'redis://consilium:%s@redis:6379\n' "$password" >redis-url
  echo 'redis.acl, redis-url'
fi

[ -e nodes.txt ] || : >nodes.txt
chmod 0444 tls-cert.pem tls-key.pem redis.acl redis-url
chmod 0644 nodes.txt
[ ! -e authority.pem ] || chmod 0444 authority.pem
