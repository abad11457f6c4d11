"""foretoken run from end to end: the answer, its files, determinism, gates and limits."""
import json
import os
import shutil
import signal
import subprocess
import time
import unittest

import h5py

from harness import BINARY, QUICKSTART, CliTest

# Kept short where the test does not need the whole trace.
SHORT = ("--set", "workload.duration=300s")


def without_run(summary):
    return {key: value for key, value in summary.items() if key != "run"}


class Quickstart(CliTest):
    def test_whole_trace(self):
        answer = self.run_it("run", QUICKSTART, "--json", "--out", "result")
        self.assertEqual(answer.code, 0, answer.err)
        summary = answer.json()
        self.assertEqual(summary["completed"], 19366)
        self.assertTrue(summary["conservation"]["passed"])
        self.assertEqual(summary["conservation"]["errors"], [])
        self.assertEqual(summary["deployment"]["gpus"], 8)
        for statistic in ("p50", "p90", "p99"):
            for metric in ("ttft", "tpot", "e2el"):
                self.assertGreater(summary[f"{statistic}_{metric}_ms"], 0)
        self.assertEqual(sorted(os.listdir(self.folder / "result")),
                         ["config.resolved.yaml", "manifest.json", "report.html", "run.h5", "summary.json"])
        self.assertEqual(without_run(json.loads((self.folder / "result" / "summary.json").read_text())),
                         without_run(summary))
        with h5py.File(self.folder / "result" / "run.h5") as file:
            self.assertEqual(file["requests"]["arrival_s"].shape, (19366,))

    def test_threads_do_not_change_a_byte(self):
        for threads in (1, 2):
            answer = self.run_it("run", QUICKSTART, "--json", "--threads", threads, "--out", f"t{threads}")
            self.assertEqual(answer.code, 0, answer.err)
        one, two = (self.folder / f"t{n}" for n in (1, 2))
        self.assertEqual((one / "run.h5").read_bytes(), (two / "run.h5").read_bytes())
        self.assertEqual((one / "config.resolved.yaml").read_bytes(), (two / "config.resolved.yaml").read_bytes())
        summaries = [json.loads((d / "summary.json").read_text()) for d in (one, two)]
        self.assertEqual([s["run"]["threads"] for s in summaries], [1, 2])
        texts = [json.dumps(without_run(s)) for s in summaries]
        self.assertEqual(*texts)

    @unittest.skipUnless(shutil.which("mpirun"), "no mpirun")
    def test_ranks_do_not_change_a_byte(self):
        one = self.run_it("run", QUICKSTART, *SHORT, "--set", "deployment.replicas=2", "--set",
                          "hardware.nodes=2", "--json", "--out", "serial")
        self.assertEqual(one.code, 0, one.err)
        two = subprocess.run(["mpirun", "--allow-run-as-root", "--oversubscribe", "--mca", "mpi_yield_when_idle", "1",
                              "-np", "2", BINARY, "run", QUICKSTART, *SHORT, "--set", "deployment.replicas=2",
                              "--set", "hardware.nodes=2", "--json", "--out", "ranks"],
                             cwd=self.folder, timeout=120, capture_output=True, text=True)
        self.assertEqual(two.returncode, 0, two.stderr)
        # One object on stdout: only rank 0 speaks.
        self.assertEqual(without_run(one.json()), without_run(json.loads(two.stdout)))
        for name in ("run.h5", "config.resolved.yaml"):
            self.assertEqual(*((self.folder / d / name).read_bytes() for d in ("serial", "ranks")))

    def test_runs_twice_the_same_and_replaces_its_folder(self):
        for _ in range(2):
            self.assertEqual(self.run_it("run", QUICKSTART, *SHORT).code, 0)
        runs = os.listdir(self.folder / "runs")
        self.assertEqual(len(runs), 1, runs)

    def test_answer_in_words(self):
        answer = self.run_it("run", QUICKSTART, *SHORT, "--out", "here")
        self.assertEqual(answer.code, 0, answer.err)
        for word in ("TTFT", "TPOT", "p50", "p90", "p99", "CNY", "USD", "tokens/s", "J", "W", "here/report.html"):
            self.assertIn(word, answer.out)
        self.assertNotIn("\x1b", answer.out + answer.err)  # no terminal, no escapes
        for line in answer.out.splitlines():
            if "reproduce" not in line:  # as long as what was typed
                self.assertLessEqual(len(line), 100, line)

    def test_json_only_and_no_files(self):
        answer = self.run_it("run", QUICKSTART, *SHORT, "--json", "--no-files")
        self.assertEqual(answer.code, 0, answer.err)
        answer.json()
        self.assertEqual(self.files(), [])

    def test_relative_path_from_another_folder(self):
        relative = os.path.relpath(QUICKSTART, self.folder)
        self.assertEqual(self.run_it("run", relative, *SHORT, "--no-files").code, 0)

    def test_finds_its_data_without_the_launcher(self):
        environment = {k: v for k, v in os.environ.items() if k != "FORETOKEN_HOME"}
        process = subprocess.run([BINARY, "list", "models"], cwd="/", env=environment, capture_output=True, text=True)
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertIn("deepseek-r1", process.stdout)


class SeedAndSet(CliTest):
    def test_seed_reaches_the_summary(self):
        summary = self.run_it("run", QUICKSTART, *SHORT, "--json", "--no-files", "--seed", 7).json()
        self.assertEqual(summary["seed"], 7)

    def test_set_changes_the_run(self):
        one, two = (self.run_it("run", QUICKSTART, *SHORT, "--json", "--no-files", *extra).json()
                    for extra in ((), ("--set", "workload.arrivals.rate_scale=0.5")))
        self.assertGreater(one["completed"], two["completed"])

    def test_set_of_an_unknown_path(self):
        answer = self.run_it("run", QUICKSTART, "--no-files", "--set", "deployment.replica=2")
        self.expect(answer, 3, "--set:1:12: error: unknown key 'replica'", "replicas")


class Gates(CliTest):
    def test_missed_slo_is_reported_and_gated_only_on_request(self):
        tight = ("--set", "slo=[ttft.p99 <= 1us]")
        answer = self.run_it("run", QUICKSTART, *SHORT, *tight, "--no-files", "--json")
        self.assertEqual(answer.code, 0, answer.err)
        self.assertFalse(answer.json()["slo"]["met"])
        gated = self.run_it("run", QUICKSTART, *SHORT, *tight, "--no-files", "--json", "--require")
        self.expect(gated, 5, "SLO is missed")
        self.assertFalse(gated.json()["slo"]["met"])

    def test_met_slo_passes_the_gate(self):
        loose = ("--set", "slo=[ttft.p99 <= 10h]")
        self.assertEqual(self.run_it("run", QUICKSTART, *SHORT, *loose, "--no-files", "--require").code, 0)


class Limits(CliTest):
    def test_time_limit(self):
        answer = self.run_it("run", QUICKSTART, "--time-limit", "1us", "--json", "--out", "partial")
        self.expect(answer, 6, "--time-limit", "partial")
        self.assertEqual(answer.json()["stop_reason"], "time_limit")
        self.assertEqual(json.loads((self.folder / "partial" / "summary.json").read_text())["stop_reason"],
                         "time_limit")

    def test_memory_limit(self):
        self.expect(self.run_it("run", QUICKSTART, "--mem-limit", "1MiB", "--no-files"), 6, "--mem-limit",
                    "this run needs")
        answer = self.run_it("run", QUICKSTART, "--mem-limit", "20MiB", "--json", "--no-files")
        self.expect(answer, 6, "--mem-limit", "partial")
        self.assertEqual(answer.json()["stop_reason"], "memory_limit")

    def test_interrupt(self):
        # Many replicas of the trace's traffic: seconds of work, so that the signal lands in it.
        process = subprocess.Popen([BINARY, "run", str(QUICKSTART), "--set", "deployment.replicas=64", "--set",
                                    "hardware.nodes=64", "--json", "--out", "cut", "--verbose"], cwd=self.folder,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = process.stderr.readline()
        while line and "loaded" not in line:
            line = process.stderr.readline()
        self.assertIn("loaded", line)
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        if process.returncode == 0:
            self.skipTest("the run ended before the signal")
        self.assertEqual(process.returncode, 130, err)
        self.assertIn("interrupted", err)
        self.assertEqual(json.loads(out)["stop_reason"], "interrupted")


if __name__ == "__main__":
    unittest.main()
