"""DeepSeek's production day, its first half minute: figures, memory, threads and ranks, and failures at full scale."""
import json
import os
import shutil
import subprocess
import unittest

from harness import BINARY, HOME, CliTest

DAY = HOME / "scenarios" / "deepseek" / "production-day.yaml"
SHORT = ("--set", "workload.duration=40s", "--set", "workload.warmup=20s", "--json", "--no-files")
MPIRUN = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--mca", "mpi_yield_when_idle", "1",
          "--mca", "btl_vader_single_copy_mechanism", "none", "-np", "2"]


def without_run(summary):
    return {key: value for key, value in summary.items() if key != "run"}


class ProductionDay(CliTest):
    def test_figures_memory_threads_and_ranks(self):
        answer = self.run_it("run", DAY, *SHORT)
        self.assertEqual(answer.code, 0, answer.err)
        one = answer.json()
        self.assertEqual(one["deployment"]["gpus"], 2224)
        self.assertGreater(one["completed"], 80_000)
        self.assertTrue(one["conservation"]["passed"], one["conservation"]["errors"])
        self.assertLess(one["run"]["peak_rss_mib"], 1024)
        figures = {f["figure"]: f for f in one["published"]["figures"]}
        for key in ("input_tokens_per_s_per_node", "output_tokens_per_s_per_node", "tokens_per_s_per_user"):
            self.assertEqual(figures[key]["predicted"], one[key])
        # Arrivals are in balance within seconds, answers of a minute are not.
        self.assertLess(abs(figures["input_tokens_per_s_per_node"]["off_percent"]), 15)
        two = self.run_it("run", DAY, *SHORT, "--threads", 2)
        self.assertEqual(two.code, 0, two.err)
        self.assertEqual(json.dumps(without_run(two.json())), json.dumps(without_run(one)))
        if not shutil.which("mpirun"):
            return
        ranks = subprocess.run([*MPIRUN, BINARY, "run", DAY, *SHORT], cwd=self.folder, capture_output=True, text=True,
                               timeout=600, env={**os.environ, "FORETOKEN_NO_BUILD": "1"})
        self.assertEqual(ranks.returncode, 0, ranks.stderr)
        self.assertEqual(json.dumps(without_run(json.loads(ranks.stdout))), json.dumps(without_run(one)))

    def test_everything_breaks_and_every_request_is_accounted_for(self):
        faults = "cluster.faults.random"
        settings = ["cluster.retries=2", "cluster.faults.detection=1s", "cluster.faults.nodes_per_switch=4"]
        for kind, mean in (("gpu", "3h"), ("node", "1h"), ("link", "1h"), ("switch", "30min"), ("storage", "20s"),
                           ("router", "20s")):
            settings += [f"{faults}.{kind}.mean_between={mean}", f"{faults}.{kind}.mean_repair=2s"]
        sets = [word for setting in settings for word in ("--set", setting)]
        answer = self.run_it("run", DAY, *SHORT, *sets)
        self.assertEqual(answer.code, 0, answer.err)
        summary = answer.json()
        self.assertTrue(summary["conservation"]["passed"], summary["conservation"]["errors"])
        self.assertEqual(summary["completed"] + summary["failed"], summary["arrived"])
        self.assertEqual(sum(summary["reasons"].values()), summary["failed"])
        self.assertEqual(summary["unfinished"], 0)
        self.assertGreater(summary["retries"], 0)


if __name__ == "__main__":
    unittest.main()
