#!/bin/sh
# Reports made as a user would: make_whole.sh FORETOKEN SCENARIOS FOLDER
#   FOLDER/whole    every section
#   FOLDER/network  pools on a shared fabric    FOLDER/experts  rebalanced expert ranks
#   FOLDER/traffic  fabric traffic alone
set -eu
foretoken=$1 scenarios=$2 folder=$3/whole
for name in network experts traffic; do rm -rf "$3/$name"; done
"$foretoken" run "$scenarios/network/disaggregated-one-fabric.yaml" --out "$3/network" >/dev/null
"$foretoken" run "$scenarios/network/contention-shared-rails.yaml" --out "$3/traffic" >/dev/null
"$foretoken" run "$scenarios/deepseek/sglang-96xh100-decode.yaml" --out "$3/experts" >/dev/null
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"
cp "$scenarios/r1-distill-llama-8b-a100.yaml" a.yaml
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
"$foretoken" validate cases --only profile-decode --json >cases.json
"$foretoken" validate claims --only A1 --json >claims.json
"$foretoken" report a b --plan plan.json --load --validated cases.json --validated claims.json
