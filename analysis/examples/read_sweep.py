# %% [markdown]
# # A sweep in pandas
# `python3 analysis/examples/read_sweep.py runs/sweep-replicas`: one row a simulation, parameters and metrics as columns; means
# over repeats carry the half width of their 95 % interval.

# %%
import pathlib
import sys

import h5py
import pandas as pd

# %%
with h5py.File(pathlib.Path(sys.argv[1]) / "sweep.h5") as sweep:
    points = pd.DataFrame({name: sweep[name][:] for name in ("point", "seed")})
    points["status"] = sweep["status"].asstr()[:]
    for name, column in sweep["parameters"].items():
        points[name] = column.asstr()[:]
    for name, column in sweep["metrics"].items():
        points[name] = column[:]
    means = pd.DataFrame({name: column["mean"][:] for name, column in sweep["means"].items()})
    half_widths = pd.DataFrame({name: column["half_width_95"][:] for name, column in sweep["means"].items()})

# %%
parameters = [name for name in points if "." in name and points[name].dtype == object]
shown = points.drop_duplicates("point").reset_index(drop=True)[["point", "status", *parameters]]
for metric in ("p99_ttft_ms", "p99_tpot_ms", "output_throughput"):
    shown[metric] = means[metric].round(3)
    shown["+/-"] = half_widths[metric].round(3)
    shown = shown.rename(columns={"+/-": f"+/- {metric}"})
print(shown.to_string(index=False))
