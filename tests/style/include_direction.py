#!/usr/bin/env python3
"""Includes run one way: sim/core <- sim/engine <- sim/net <- models <- scenarios/loader <-
analysis <- analysis/app; validation may use models, loader and analysis. Heavy third-party
headers stay inside their folder: no header that is included from another folder may pull one in.

usage: include_direction.py ROOT
"""
import collections
import pathlib
import re
import sys

SIM = ["sim/core", "sim/engine", "sim/net", "sim/dist", "sim/metrics"]
# Folder -> prefixes that its files may include, besides their own folder.
ALLOWED = {
    "sim/core": [],
    "sim/metrics": ["sim/core"],
    "sim/engine": ["sim/core", "sim/metrics"],
    "sim/net": ["sim/core", "sim/metrics", "sim/engine"],
    "sim/dist": ["sim/core", "sim/metrics", "sim/engine"],
    "models/hardware": SIM,
    "models": SIM + ["models"],
    "scenarios": SIM + ["models", "scenarios"],
    "analysis": SIM + ["models", "scenarios", "analysis"],
    "validation": SIM + ["models", "scenarios", "analysis", "validation"],
    "analysis/app": SIM + ["models", "scenarios", "analysis", "validation"],
}
# models among themselves: what describes a thing does not know what simulates it.
MODEL_ORDER = ["hardware", "llm", "kernels", "collective", "power", "cost", "serving", "training"]
HEAVY = re.compile(r"^(boost/graph|Eigen/|eigen3/|nlohmann/|yaml-cpp/|hdf5|H5|spdlog/|fmt/|tbb/|oneapi/|nlopt|ceres/)")
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)


def folder_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if len(parts) > 2 else parts[0]


def rule_for(folder):
    return ALLOWED.get(folder, ALLOWED.get(folder.split("/")[0]))


def under(path, prefix):
    return path == prefix or path.startswith(prefix + "/")


def problem(source, target):
    """Why `source` may not include `target`, or None."""
    here, there = folder_of(source), folder_of(target)
    if here == there:
        return None
    if under(target, "analysis/app"):
        return "nothing includes the command line"
    if not any(under(target, prefix) for prefix in rule_for(here)):
        return f"{here} may not use {there}"
    if here.startswith("models/") and there.startswith("models/"):
        names = [f.split("/")[1] for f in (here, there)]
        if all(n in MODEL_ORDER for n in names) and MODEL_ORDER.index(names[1]) > MODEL_ORDER.index(names[0]):
            return f"{there} comes after {here}"
    return None


def main():
    root = pathlib.Path(sys.argv[1])
    files = {}
    for top in ("sim", "models", "scenarios", "analysis", "validation"):
        for path in sorted((root / top).rglob("*.[ch]pp")):
            files[str(path.relative_to(root))] = path.read_text()
    problems = []
    includes = {name: INCLUDE.findall(text) for name, text in files.items()}
    for source, found in includes.items():
        for bracket, target in found:
            if bracket == '"' and "/" in target:
                if target not in files and not (root / target).exists() and not target.startswith("generated/"):
                    problems.append(f'{source}: "{target}" does not exist; include by path from the root')
                elif why := problem(source, target):
                    problems.append(f'{source}: "{target}": {why}')
            elif bracket == '"':
                problems.append(f'{source}: "{target}": include by path from the root')

    # A header is heavy if it includes a heavy one, directly or through others.
    heavy = {f: t for f, inc in includes.items() if f.endswith(".hpp") for b, t in inc if HEAVY.match(t)}
    grew = True
    while grew:
        grew = False
        for name, inc in includes.items():
            if not name.endswith(".hpp") or name in heavy:
                continue
            for _, target in inc:
                if target in heavy:
                    heavy[name], grew = target, True
                    break
    for source, inc in includes.items():
        for _, target in inc:
            if target in heavy and folder_of(source) != folder_of(target):
                problems.append(f'{source}: "{target}" brings in {heavy[target]}: heavy headers stay in .cpp files')

    checked = collections.Counter(folder_of(f) for f in files)
    if checked["sim/core"] == 0 or checked["analysis/app"] == 0:
        problems.append(f"found no sources under {root}")
    for line in problems:
        print(line)
    print(f"{len(files)} files, {len(problems)} problems")
    return 1 if problems else 0


sys.exit(main())
