#!/usr/bin/env bash
# How much faster a sweep gets with two threads, and with two ranks: at least 1.8 on two quiet cores. Best of
# three each, since what disturbs a run only ever makes it longer. Without an argument: 36 points of an hour
# of traffic each, some 20 s on one thread; what a program does once (reading cards, writing tables: 0.3 s)
# is then in proportion.
#   tests/bench/sweep_efficiency.sh [SWEEP.yaml]
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
export FORETOKEN_NO_BUILD=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
sweep=${1:-$folder/sweep.yaml}
sed -e "s|\.\./|$PWD/scenarios/|" -e 's/workload.duration: 5min/workload.duration: 1h/' \
  -e 's/steps: 4/steps: 12/' scenarios/sweep/replicas.yaml >"$folder/sweep.yaml"
best() {  # seconds of the quickest of three
  local least=
  for i in 1 2 3; do
    rm -rf "$folder/out"
    local begin=$EPOCHREALTIME
    "$@" --out "$folder/out" >/dev/null
    local took
    took=$(awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')
    least=$(awk -v a="${least:-$took}" -v b="$took" 'BEGIN { print a < b ? a : b }')
  done
  echo "$least"
}
one=$(best ./foretoken sweep "$sweep")
two=$(best ./foretoken sweep "$sweep" --threads 2)
awk -v a="$one" -v b="$two" 'BEGIN { printf "one thread %.2f s, two threads %.2f s: %.2fx\n", a, b, a / b }'
if command -v mpirun >/dev/null; then
  ranks=$(best mpirun --allow-run-as-root --oversubscribe --bind-to none -np 2 ./foretoken sweep "$sweep")
  awk -v a="$one" -v b="$ranks" 'BEGIN { printf "two ranks %.2f s: %.2fx\n", b, a / b }'
fi
