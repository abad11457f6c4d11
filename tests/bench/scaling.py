#!/usr/bin/env python3
"""Scaling record: time and memory of a step at 1, 16, 256 and 2,224 GPUs, on one and two threads and
one and two ranks, as a table for the README. Every row of a size must give the same summary.

usage: scaling.py [--binary build/release/bin/foretoken] [--quick]

The load a GPU is the same at every size: DeepSeek-R1-Distill-Llama-8B, one replica a GPU, Poisson
arrivals of 4/s a replica handed out in turn. The last rows are an hour of DeepSeek's production day
(--quick: 2 minutes), where replicas of 32 and 144 GPUs depend on one router at every hop.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HOME = pathlib.Path(__file__).resolve().parents[2]
GPUS_PER_NODE = 8
REQUESTS = 400_000  # so many at least, whatever the size
SHORTEST_S = 60
SCENARIO = """foretoken: 1
name: scaling, {gpus} GPUs
model: deepseek-r1-distill-llama-8b
engine: vllm
hardware: {{node: {node}, nodes: {nodes}}}
deployment:
  weights: bf16
  parallel: {{tensor: 1}}
  replicas: {gpus}
  router: round_robin
  batching: {{policy: chunked_prefill, max_tokens: 2048, max_sequences: 128}}
workload:
  arrivals: {{poisson: {rate}/s}}
  input: {{tokens: 8192, mean: 512, sigma: 1}}
  output: {{tokens: 4096, mean: 256, sigma: 1}}
  duration: {duration}s
records: none
"""


def run(binary, arguments, threads, ranks):
    """Summary of one run, with wall, CPU seconds and peak memory of all its processes."""
    command = [binary, "run", *arguments, "--json", "--no-files", "--threads", str(threads)]
    if ranks > 1:
        command = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--mca", "mpi_yield_when_idle", "1",
                   "--mca", "btl_vader_single_copy_mechanism", "none", "-np", str(ranks), *command]
    before = os.times()
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "FORETOKEN_NO_BUILD": "1"})
    wall = time.monotonic() - start
    after = os.times()
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}")
    cpu = after.children_user - before.children_user + after.children_system - before.children_system
    summary = json.loads(done.stdout)
    own = summary.pop("run")
    return summary, wall, cpu, own


def rows_of(label, binary, arguments, variants):
    first = None
    for threads, ranks in variants:
        summary, wall, cpu, own = run(binary, arguments, threads, ranks)
        text = json.dumps(summary, sort_keys=True)
        first = first or text
        if text != first:
            sys.exit(f"{label}: {threads} threads on {ranks} ranks gave another result")
        steps = summary["steps"]
        rank0 = " (rank 0)" if ranks > 1 else ""
        print(f"| {label} | {threads} | {ranks} | {summary['completed']:,} | {steps:,} | {1e6 * cpu / steps:.2f} | "
              f"{steps / wall / 1e6:.2f} | {wall:.1f} | {own['peak_rss_mib']:.0f}{rank0} |", flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--binary", default=str(HOME / "build" / "release" / "bin" / "foretoken"))
    options.add_argument("--quick", action="store_true", help="a tenth of the requests, 2 minutes of the day")
    line = options.parse_args()
    variants = [(1, 1), (2, 1)] + ([(1, 2)] if shutil.which("mpirun") else [])
    print("| GPUs | threads | ranks | requests | steps | CPU us a step | M steps/s | wall s | peak MiB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for gpus in (1, 16, 256, 2224):
            rate = 4 * gpus
            requests = REQUESTS // (10 if line.quick else 1)
            file = pathlib.Path(folder) / f"{gpus}.yaml"
            file.write_text(SCENARIO.format(gpus=gpus, node="a100-80gb-x1" if gpus == 1 else "hgx-a100-80gb",
                                            nodes=-(-gpus // GPUS_PER_NODE), rate=rate,
                                            duration=max(SHORTEST_S, requests // rate)))
            rows_of(f"{gpus:,}", line.binary, [str(file)], variants)
    day = [str(HOME / "scenarios" / "deepseek" / "production-day.yaml"), "--set",
           "workload.duration=" + ("2min" if line.quick else "1h")]
    if line.quick:
        day += ["--set", "workload.warmup=1min"]
    rows_of("2,224, production day", line.binary, day, variants)


if __name__ == "__main__":
    main()
