"""plan, capacity, sweep and compare from the command line: winners, resuming, locks, limits, refusals."""
import fcntl
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time
import unittest

import h5py
import numpy as np

from harness import BINARY, HOME, CliTest

SMALL = """\
foretoken: 1
name: small
model: deepseek-r1-distill-llama-8b
engine: vllm-0.14.0
hardware: {node: a100-80gb-x1, nodes: 1}
deployment:
  weights: bf16
  parallel: {tensor: 1}
  batching: {policy: chunked_prefill, max_tokens: 2048, max_sequences: 64}
workload:
  arrivals: {poisson: 2/s}
  input: {tokens: 300, low_fraction: 0.5}
  output: {tokens: 40, low_fraction: 0.5}
  duration: 40s
slo: [ttft.p99 <= 1s, tpot.p99 <= 30ms]
cost: {currency: CNY, electricity: 0.8CNY/kWh, pue: 1.25}
"""
PLAN = """\
foretoken: 1
name: small plan
scenario: small.yaml
set: {workload.arrivals.poisson: 12/s, workload.duration: 20s}
hardware:
  - {node: a100-80gb-x1, nodes: [1, 2]}
  - {node: rtx-4090-x1, nodes: [1, 2, 4]}
  - {node: h100-x1, nodes: [1], pay: [buy, "rent:neocloud"]}
parallel: [{tensor: 1}]
max_sequences: [8, 64]
"""
SWEEP = """\
foretoken: 1
name: a sweep
scenario: small.yaml
set: {workload.duration: 20s}
grid:
  deployment.batching.max_sequences: [4, 16, 64]
  workload.arrivals.poisson: {from: 2/s, to: 20/s, steps: 4, scale: log}
repeats: 2
"""
MPIRUN = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--mca", "mpi_yield_when_idle", "1", "-np", "2"]


class StudyTest(CliTest):
    def setUp(self):
        super().setUp()
        self.write("small.yaml", SMALL)

    def ok(self, *arguments, **more):
        answer = self.run_it(*arguments, **more)
        self.assertEqual(answer.code, 0, answer.err)
        return answer


class Plan(StudyTest):
    def test_winner_equals_brute_force(self):
        """Every candidate run by hand; the cheapest that meets the SLO, then the most headroom."""
        plan = self.ok("plan", self.write("plan.yaml", PLAN), "--json").json()
        best = None
        nodes = [("a100-80gb-x1", 1, ""), ("a100-80gb-x1", 2, ""), ("rtx-4090-x1", 1, ""), ("rtx-4090-x1", 2, ""),
                 ("rtx-4090-x1", 4, ""), ("h100-x1", 1, ""), ("h100-x1", 1, "neocloud")]
        self.assertEqual(plan["candidates"], len(nodes) * 2)
        for node, count, rent in nodes:
            for sequences in (8, 64):
                sets = [f"hardware.node={node}", f"hardware.nodes={count}", f"deployment.replicas={count}",
                        f"deployment.batching.max_sequences={sequences}", "workload.arrivals.poisson=12/s",
                        "workload.duration=20s"] + ([f"cost.rent={rent}"] if rent else [])
                run = self.ok("run", "small.yaml", "--no-files", "--json", *(x for s in sets for x in ("--set", s))).json()
                if not run["slo"]["met"]:
                    continue
                key = (run["cost"]["per_hour"]["cny"], -min(t["margin"] for t in run["slo"]["terms"]))
                if best is None or key < best[0]:
                    best = (key, run)
        first = plan["ranked"][0]
        self.assertAlmostEqual(first["cost"]["per_hour"]["cny"], best[0][0], places=9)
        self.assertAlmostEqual(first["headroom"], -best[0][1], places=9)
        for key in ("p99_ttft_ms", "p99_tpot_ms", "output_throughput"):
            self.assertAlmostEqual(first["metrics"][key], best[1][key], places=9)
        # The line it prints gives the same figures.
        words = first["replay"].split()
        self.assertEqual(self.ok(*words[1:], "--no-files", "--json").json()["p99_ttft_ms"], first["metrics"]["p99_ttft_ms"])

    def test_same_answer_for_any_number_of_threads(self):
        plan = self.write("plan.yaml", PLAN)
        one, three = (self.ok("plan", plan, "--json", "--threads", n).out for n in (1, 3))
        self.assertEqual(one, three)

    def test_load_at_which_it_breaks(self):
        plan = self.ok("plan", self.write("plan.yaml", PLAN), "--json").json()
        factor = plan["breaks_at"]["load_factor"]
        self.assertGreaterEqual(factor, 1.0)
        words = plan["ranked"][0]["replay"].split()
        def met(scale):
            line = [w.replace("poisson=12/s", f"poisson={12 * scale}/s") for w in words]
            return self.ok(*line[1:], "--no-files", "--json").json()["slo"]["met"]
        self.assertTrue(met(factor))
        self.assertFalse(met(factor * 1.05))

    def test_nothing_meets_the_slo(self):
        """The bounds drop everything; still the nearest miss is simulated and told with what binds."""
        self.write("small.yaml", SMALL.replace("tpot.p99 <= 30ms", "tpot.p99 <= 1ms"))
        plan = self.write("plan.yaml", PLAN)
        answer = self.run_it("plan", plan, "--json")
        self.assertEqual(answer.code, 4, answer.err)
        self.assertEqual(answer.json()["ranked"], [])
        nearest = answer.json()["nearest"]
        self.assertIn("tpot.p99 <= 1ms", nearest["first_to_break"])
        self.assertLess(nearest["headroom"], 0)
        words = self.run_it("plan", plan)
        self.assertEqual(words.code, 4)
        for word in ("Nothing here meets the SLO", "Nearest:", "the limit that binds: tpot.p99 <= 1ms", "even alone"):
            self.assertIn(word, words.out)

    def test_limits(self):
        plan = self.write("plan.yaml", PLAN)
        for arguments, word in ((("--max-gpus", 1), "the limit is 1"), (("--power-limit", "0.9"), "the limit is 0.9 kW"),
                                (("--budget", "70000CNY"), "the budget is 70,000")):
            answer = self.run_it("plan", plan, "--json", *arguments)
            self.assertIn(answer.code, (0, 4), answer.err)
            self.assertTrue(any(word in r["why"] for r in answer.json()["rejected"]), answer.out)
        self.expect(self.run_it("plan", plan, "--budget", "many"), 2, "8000000CNY")
        self.expect(self.run_it("plan", plan, "--set", "seed=2"), 2, "plans of training", "set: {PATH: VALUE}")

    def test_rent_buy_api_and_split(self):
        api = ("api: {share: [0.5], round_trip: 50ms, first_token: 300ms, tokens_per_s: 50, "
               "usd_per_million_input: 0.3, usd_per_million_output: 1.2}\n")
        text = PLAN.replace("  - {node: a100-80gb-x1, nodes: [1, 2]}\n  - {node: rtx-4090-x1, nodes: [1, 2, 4]}\n", "")
        plan = self.ok("plan", self.write("plan.yaml", text + api), "--json").json()
        ways = {w["way"]: w for w in plan["ways_to_pay"]}
        self.assertEqual(set(ways), {"buy", "rent, neocloud"})
        self.assertGreater(ways["buy"]["break_even_months"], 0)
        self.assertTrue(plan["all_by_api"]["meets_slo"])
        # 12 requests a second of 225 and 30 tokens on average.
        hour = 12 * 3600 * (225 * 0.3 + 30 * 1.2) / 1e6
        self.assertAlmostEqual(plan["all_by_api"]["per_hour"]["usd"], hour, delta=0.15 * hour)
        self.assertEqual(plan["candidates"], 2 * 2 * 2)
        split = self.ok("run", "small.yaml", "--no-files", "--json", "--set",
                        "cluster.remote_api={share: 0.5, round_trip: 50ms, first_token: 300ms, tokens_per_s: 50, "
                        "usd_per_million_input: 0.3, usd_per_million_output: 1.2}").json()
        lines = {line["name"]: line for line in split["cost"]["per_hour_lines"]}
        self.assertGreater(lines["api"]["usd"], 0)
        self.assertAlmostEqual(sum(l["usd"] for l in lines.values()), split["cost"]["per_hour"]["usd"], places=9)

    def test_options_of_training_plans(self):
        self.write("small.yaml", SMALL)
        self.write("plan.yaml", PLAN)
        for option, value in (("--simulate", "3"), ("--time-limit", "5s"), ("--set", "seed=2")):
            self.expect(self.run_it("plan", "plan.yaml", option, value), 2, option, "of training")

    def test_bad_plans(self):
        for old, new, words in (("hardware:\n", "hardware: []\nweights:\n", ("plan.yaml:5:1", "no hardware to choose from")),
                                ("max_sequences: [8, 64]", "max_sequences: []", ("plan.yaml:10:", "no values")),
                                ("parallel: [{tensor: 1}]", "parallel: [{tensro: 1}]", ("did you mean 'tensor'",)),
                                ("scenario: small.yaml", "scenario: none.yaml", ("none.yaml",)),
                                ("h100-x1, nodes: [1], pay: [buy,", "h100-x1, nodes: [1], pay: [bye,", ("neither buy nor rent",))):
            text = PLAN.replace(old, new)
            if "hardware: []" in new:
                text = text[:text.index("weights:")] + "max_sequences: [8]\n"
            self.expect(self.run_it("plan", self.write("plan.yaml", text)), 3, *words)
        self.write("small.yaml", SMALL.replace("slo: [ttft.p99 <= 1s, tpot.p99 <= 30ms]\n", ""))
        self.expect(self.run_it("plan", self.write("plan.yaml", PLAN)), 3, "needs an slo")


class Capacity(StudyTest):
    def test_the_load_is_the_largest_within_the_slo(self):
        found = self.ok("capacity", "small.yaml", "--json", "--precision", "0.02").json()
        def met(rate):
            return self.ok("run", "small.yaml", "--no-files", "--json", "--set", f"workload.arrivals.poisson={rate}/s").json()["slo"]["met"]
        self.assertTrue(met(found["capacity"]))
        self.assertFalse(met(found["capacity"] * 1.05))  # the edge is ragged over some 3 %
        low, high = found["within_stated_error"]
        self.assertLessEqual(low, found["capacity"])
        self.assertLessEqual(found["capacity"], high)
        loads = [p["load"] for p in found["curve"]]
        self.assertEqual(loads, sorted(loads))

    def test_repeats_give_an_interval(self):
        found = self.ok("capacity", "small.yaml", "--json", "--precision", "0.05", "--repeats", "3").json()
        self.assertEqual(len(found["by_seed"]), 3)
        low, high = found["interval_95"]
        self.assertLess(low, found["capacity"])
        self.assertGreater(high, found["capacity"])

    def test_no_load_meets_it(self):
        tight = self.write("tight.yaml", SMALL.replace("tpot.p99 <= 30ms", "tpot.p99 <= 1ms"))
        self.expect(self.run_it("capacity", tight), 4, "no load meets the SLO", "tpot.p99 <= 1ms", "it is")

    def test_wrong_use(self):
        self.expect(self.run_it("capacity", "small.yaml", "--attainment", "101%"), 2, "between 0 and 1")
        none = self.write("none.yaml", SMALL.replace("slo: [ttft.p99 <= 1s, tpot.p99 <= 30ms]\n", ""))
        self.expect(self.run_it("capacity", none), 3, "needs an slo")


class Sweep(StudyTest):
    def setUp(self):
        super().setUp()
        self.sweep = self.write("sweep.yaml", SWEEP)

    def tables(self, folder):
        return [(self.folder / folder / name).read_bytes() for name in ("sweep.h5", "sweep.csv")]

    def test_points_are_what_run_gives(self):
        found = self.ok("sweep", self.sweep, "--out", "out", "--json").json()
        self.assertEqual((found["rows"], found["ok"]), (24, 24))
        point = found["points"][7]
        sets = [f"{k}={v}" for k, v in point["parameters"].items()] + ["workload.duration=20s"]
        run = self.ok("run", "small.yaml", "--no-files", "--json", "--seed", point["seed"],
                      *(x for s in sets for x in ("--set", s))).json()
        for key in ("p99_ttft_ms", "p99_tpot_ms", "output_throughput"):
            self.assertEqual(point["metrics"][key], run[key])
        with h5py.File(self.folder / "out" / "sweep.h5") as file:
            self.assertEqual(file["metrics/p99_ttft_ms"].shape, (24,))
            self.assertEqual(file["means/p99_ttft_ms/mean"].shape, (12,))
            self.assertTrue(np.all(file["means/p99_ttft_ms/half_width_95"][:] > 0))

    def test_killed_and_resumed_equals_uninterrupted(self):
        self.ok("sweep", self.sweep, "--out", "whole")
        process = subprocess.Popen([BINARY, "sweep", str(self.sweep), "--out", "cut"], cwd=self.folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        points = self.folder / "cut" / "points"
        deadline = time.time() + 60
        while time.time() < deadline and process.poll() is None and not (points.is_dir() and len(list(points.glob("*.json"))) >= 4):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        done = len(list(points.glob("*.json")))
        self.assertGreater(done, 0)
        self.expect(self.run_it("sweep", self.sweep, "--out", "cut"), 3, "--resume")
        again = self.ok("sweep", self.sweep, "--out", "cut", "--resume", "--json").json()
        self.assertGreaterEqual(again["found"], done)
        self.assertEqual(self.tables("cut"), self.tables("whole"))

    def test_interrupted_by_the_keyboard(self):
        process = subprocess.Popen([BINARY, "sweep", str(self.sweep), "--out", "cut"], cwd=self.folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        points = self.folder / "cut" / "points"
        while process.poll() is None and not (points.is_dir() and len(list(points.glob("*.json"))) >= 2):
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=60)[1]
        if process.returncode == 0:
            self.skipTest("the sweep ended before the signal")
        self.assertEqual(process.returncode, 130, err)
        self.assertIn("--resume", err)

    def test_threads_and_ranks_give_the_same_bytes(self):
        self.ok("sweep", self.sweep, "--out", "one")
        self.ok("sweep", self.sweep, "--out", "threads", "--threads", 3)
        self.assertEqual(self.tables("one"), self.tables("threads"))
        if not shutil.which("mpirun"):
            self.skipTest("no mpirun")
        command = [*MPIRUN, BINARY, "sweep", str(self.sweep), "--out", "ranks"]
        process = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=120)
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertEqual(self.tables("one"), self.tables("ranks"))
        # Whichever rank meets a damaged point, all end, and the message is heard.
        for point in (self.folder / "ranks" / "points").iterdir():
            point.write_text("{")
        process = subprocess.run([*command, "--resume"], cwd=self.folder, capture_output=True, text=True, timeout=120)
        self.assertEqual(process.returncode, 3, process.stderr)
        self.assertIn("remove the file to simulate it again", process.stderr)

    def test_two_at_a_time_are_refused(self):
        self.ok("sweep", self.sweep, "--out", "out")
        with open(self.folder / "out" / ".lock", "r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.expect(self.run_it("sweep", self.sweep, "--out", "out", "--resume"), 3, "another sweep is running")

    def test_a_cache_of_another_version_or_damaged(self):
        self.ok("sweep", self.sweep, "--out", "out")
        before = self.tables("out")
        point = next((self.folder / "out" / "points").glob("*.json"))
        text = point.read_text()
        point.write_text(text.replace('"format_version": 1', '"format_version": 99'))
        self.expect(self.run_it("sweep", self.sweep, "--out", "out", "--resume"), 3, "format version 99", str(point.name))
        point.write_text(text[:40])
        self.expect(self.run_it("sweep", self.sweep, "--out", "out", "--resume"), 3, "remove the file")
        point.unlink()
        self.ok("sweep", self.sweep, "--out", "out", "--resume")
        self.assertEqual(self.tables("out"), before)

    def test_a_point_that_fails_does_not_stop_the_others(self):
        sweep = self.write("some.yaml", SWEEP[:SWEEP.index("grid:")] + "grid: {deployment.batching.max_tokens: [512, -3, 2048]}\n")
        found = self.ok("sweep", sweep, "--out", "some", "--json").json()
        self.assertEqual((found["ok"], found["failed"]), (2, 1))
        failed = [p for p in found["points"] if p["status"] != "ok"]
        self.assertEqual(failed[0]["parameters"]["deployment.batching.max_tokens"], "-3")
        self.assertTrue(failed[0]["error"])
        process = subprocess.run([sys.executable, str(HOME / "analysis" / "examples" / "read_sweep.py"), "some"],
                                 cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(process.returncode, 0, process.stderr)

    def test_a_full_disk(self):
        def full():  # writes beyond a few kilobytes fail as on a full disk
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
        process = subprocess.run([BINARY, "sweep", str(self.sweep), "--out", "out"], cwd=self.folder, capture_output=True,
                                 text=True, preexec_fn=full)
        self.assertEqual(process.returncode, 3, process.stderr)
        self.assertIn("cannot write", process.stderr)
        for file in (self.folder / "out" / "points").iterdir():
            json.loads(file.read_text())  # whole or not there
        self.ok("sweep", self.sweep, "--out", "whole")
        self.ok("sweep", self.sweep, "--out", "out", "--resume")
        self.assertEqual(self.tables("out"), self.tables("whole"))

    def test_dry_run_writes_nothing(self):
        answer = self.ok("sweep", self.sweep, "--dry-run")
        self.assertIn("24 simulations", answer.out)
        self.assertEqual(self.files(), ["small.yaml", "sweep.yaml"])

    def test_bad_sweeps(self):
        for old, new, words in (("deployment.batching.max_sequences", "deployment.batching.max_sequence", ("max_sequences",)),
                                ("[4, 16, 64]", "[]", ("no values",)),
                                ("from: 2/s, to: 20/s", "from: 2/s, to: 20", ("different units",)),
                                ("scenario: small.yaml", "scenario: none.yaml", ("none.yaml",)),
                                ("grid:", "gird:", ("did you mean 'grid'",))):
            self.expect(self.run_it("sweep", self.write("bad.yaml", SWEEP.replace(old, new)), "--out", "bad"), 3, *words)
            self.assertFalse((self.folder / "bad").exists())

    def test_the_slurm_job_runs_as_a_script(self):
        if not shutil.which("mpirun"):
            self.skipTest("no mpirun")
        launcher = self.folder / "foretoken"
        launcher.write_text(f'#!/bin/bash\nexec "{BINARY}" "$@"\n')
        launcher.chmod(0o755)
        process = subprocess.run(["bash", str(HOME / "scenarios" / "sweep" / "sweep.slurm"), str(self.sweep), "out"],
                                 cwd=self.folder, capture_output=True, text=True, timeout=120,
                                 env={**os.environ, "SLURM_NTASKS": "2",
                                      "FORETOKEN_MPIRUN_OPTIONS": "--allow-run-as-root --oversubscribe"})
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertTrue((self.folder / "out" / "sweep.h5").exists())


class Compare(StudyTest):
    def test_scenarios_with_paired_seeds(self):
        other = self.write("other.yaml", SMALL.replace("a100-80gb-x1", "h100-x1"))
        found = self.ok("compare", "small.yaml", other, "--repeats", 3, "--json").json()
        self.assertIn("hardware.node", [i["path"] for i in found["inputs"]])
        tpot = next(r for r in found["results"] if r["metric"] == "p50_tpot_ms")
        self.assertTrue(tpot["significant"])
        self.assertLess(tpot["high"], 0)
        runs = [[self.ok("run", f, "--no-files", "--json", "--seed", s).json()["p50_tpot_ms"] for s in (1, 2, 3)]
                for f in ("small.yaml", other)]
        self.assertAlmostEqual(tpot["difference"], np.mean(runs[1]) - np.mean(runs[0]), places=9)

    def test_runs(self):
        for name, rate in (("a", "2/s"), ("b", "2/s"), ("c", "15/s")):
            self.ok("run", "small.yaml", "--set", f"workload.arrivals.poisson={rate}", "--out", name)
        same = self.ok("compare", "a", "b").out
        self.assertIn("the same", same)
        self.assertIn("workload.arrivals.poisson", self.ok("compare", "a", "c").out)

    def test_wrong_use(self):
        self.ok("run", "small.yaml", "--out", "a")
        self.expect(self.run_it("compare", "a", "small.yaml"), 2, "not one of each")
        (self.folder / "empty").mkdir()
        self.expect(self.run_it("compare", "a", "empty"), 3, "empty")


if __name__ == "__main__":
    unittest.main()
