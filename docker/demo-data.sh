#!/bin/sh
# docker/demo-data.sh: writes docker/demo/site-1.csv … site-3.csv, invented patients for docs/example-task.json,
# other ones at each site.
set -eu
cd "$(dirname "$0")"
mkdir -p demo
for site in 1 2 3; do
  awk -v site="$site" 'BEGIN {
    srand(site)
    print "age,pressure,sex,outcome"
    for (row = 0; row < 200; row++) {
      age = 20 + int(rand() * 60) + 3 * site
      pressure = 100 + int(rand() * 60) + int(age / 4)
      sex = int(rand() * 2)
      risk = (age - 50) / 15 + (pressure - 140) / 20 + rand() * 2 - 1
      print age "," pressure "," sex "," (risk > 0)
    }
  }' >"demo/site-$site.csv"
done
chmod 0644 demo/*.csv
