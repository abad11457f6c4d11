# %% [markdown]
# # One serving run in pandas
# `python3 analysis/examples/read_run.py runs/mine [--plot FILE.svg]`; run.h5 opens as it is: a group is a table, a dataset a
# column, the attribute `unit` its unit.

# %%
import argparse
import json
import pathlib

import h5py
import numpy as np
import pandas as pd

parser = argparse.ArgumentParser()
parser.add_argument("run", type=pathlib.Path)
parser.add_argument("--plot", type=pathlib.Path, help="draw the latencies there (needs matplotlib)")
arguments = parser.parse_args()

# %%
# The tables.
with h5py.File(arguments.run / "run.h5") as run:
    requests, iterations, series = (
        pd.DataFrame({name: column[:] for name, column in run[table].items()})
        for table in ("requests", "iterations", "timeseries"))
summary = json.loads((arguments.run / "summary.json").read_text())
window = summary["window"]

# %%
# Latencies of the requests that arrived in the measured window and completed.
inside = requests[requests.arrival_s.between(window["start_s"], window["end_s"])]
done = inside[inside.outcome == 0].copy()
done["ttft_s"] = done.first_token_s - done.arrival_s
done["e2el_s"] = done.last_token_s - done.arrival_s
done["tpot_s"] = ((done.last_token_s - done.first_token_s) / (done.output_tokens - 1)).where(done.output_tokens > 1)
print(done[["ttft_s", "tpot_s", "e2el_s"]].describe(percentiles=[0.5, 0.9, 0.99]).round(4).to_string())

# %%
# Who waits: by length of the prompt.
done["prompt"] = pd.cut(done.input_tokens, [0, 256, 1024, 4096, 16384, np.inf])
print(done.groupby("prompt", observed=True).ttft_s.describe(percentiles=[0.5, 0.99]).round(4).to_string())

# %%
# What the engine did: share of its busy time by batch size.
iterations["batch"] = pd.cut(iterations.decode_sequences, [-1, 0, 8, 32, 128, np.inf])
share = iterations.groupby("batch", observed=True).duration_s.sum() / iterations.duration_s.sum()
print("share of busy time by decoding sequences in the step")
print(share.round(4).to_string())

# %%
# The summary's figures again, from the tables alone.
again = {
    "mean_ttft_ms": 1e3 * np.mean(done.ttft_s),
    "p99_ttft_ms": 1e3 * np.percentile(done.ttft_s, 99),
    "p99_tpot_ms": 1e3 * np.percentile(done.tpot_s.dropna(), 99),
    "p99_e2el_ms": 1e3 * np.percentile(done.e2el_s, 99),
}
for key, value in again.items():
    print(f"{key:14} {value:12.3f}  summary.json {summary[key]:12.3f}")
    assert np.isclose(value, summary[key], rtol=1e-12), key

# %%
if arguments.plot:
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name in ("ttft_s", "e2el_s"):
        values = np.sort(done[name])
        left.plot(values, np.arange(1, len(values) + 1) / len(values), label=name)
    left.set(xscale="log", xlabel="s", ylabel="share of requests")
    left.legend()
    right.plot(series.time_s, series.running, label="running")
    right.plot(series.time_s, series.waiting, label="waiting")
    right.set(xlabel="s", ylabel="requests")
    right.legend()
    figure.savefig(arguments.plot)
