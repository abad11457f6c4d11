#!/bin/sh
# A report with every section, made as a user would: make_whole.sh FORETOKEN SCENARIO FOLDER
set -eu
foretoken=$1 scenario=$2 folder=$3
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"
cp "$scenario" a.yaml
set -- --set "workload={arrivals: {poisson: 6/s}, input: {tokens: 600, low_fraction: 0.3}, output: {tokens: 120, low_fraction: 0.2}, duration: 40s}" \
  --set "slo=[ttft.p99 <= 1s, tpot.p99 <= 40ms]"
"$foretoken" run a.yaml "$@" --repeats 3 --out a >/dev/null
"$foretoken" run a.yaml "$@" --set hardware.node=h100-x1 --set "name=The same on an H100" --out b >/dev/null
{
  echo "foretoken: 1"
  echo "scenario: a.yaml"
  echo "set: {workload: \"{arrivals: {poisson: 6/s}, input: {tokens: 600}, output: {tokens: 120}, duration: 20s}\", slo: \"[ttft.p99 <= 1s, tpot.p99 <= 40ms]\"}"
  echo "hardware: [{node: a100-80gb-x1, nodes: [1, 2]}, {node: h100-x1, nodes: [1], pay: [buy, 'rent:neocloud']}]"
  echo "parallel: [{tensor: 1}]"
  echo "api: {round_trip: 50ms, first_token: 300ms, tokens_per_s: 60, usd_per_million_input: 0.3, usd_per_million_output: 1.2}"
  echo "day: [0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.5, 0.5, 1, 1, 1, 1, 0.5, 0.5, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.2, 0.2]"
} >plan.yaml
"$foretoken" plan plan.yaml --json >plan.json
"$foretoken" report a b --plan plan.json --load
