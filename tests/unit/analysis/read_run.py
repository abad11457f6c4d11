"""Reads a run directory as a user's script would: h5py and pandas, no code of ours.

Prints one JSON object; run by results_store_test.cpp.
"""
import json
import sys

import h5py
import numpy as np
import pandas as pd

with h5py.File(sys.argv[1], "r") as run:
    requests = pd.DataFrame({name: column[:] for name, column in run["requests"].items()})
    iterations = pd.DataFrame({name: column[:] for name, column in run["iterations"].items()})
    series = pd.DataFrame({name: column[:] for name, column in run["timeseries"].items()})
    done = requests[requests.outcome == 0]
    ttft = done.first_token_s - done.arrival_s
    several = done[done.output_tokens >= 2]
    tpot = (several.last_token_s - several.first_token_s) / (several.output_tokens - 1)
    # vLLM's benchmark: calculate_metrics of serve.py, on the arrays of the file.
    print(json.dumps({
        "format_version": int(run.attrs["format_version"]),
        "name": run.attrs["name"].decode(),
        "groups": sorted(run),
        "units": {name: column.attrs["unit"].decode() for name, column in run["requests"].items()},
        "completed": len(done),
        "mean_ttft_ms": float(np.mean(ttft)) * 1e3,
        "p99_ttft_ms": float(np.percentile(ttft, 99)) * 1e3,
        "std_tpot_ms": float(np.std(tpot)) * 1e3,
        "p90_tpot_ms": float(np.percentile(tpot, 90)) * 1e3,
        "total_output_tokens": int(done.output_tokens.sum()),
        "iterations": len(iterations),
        "series": len(series),
        "histogram_total": int(run["histograms/ttft_s/counts"][:].sum()),
        "histogram_fits": bool(np.array_equal(
            np.histogram(ttft, run["histograms/ttft_s/edges"][:])[0],
            run["histograms/ttft_s/counts"][:])),
    }))
