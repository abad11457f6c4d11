"""Training scenarios from the command line: answers, exit codes, files, the trace for Perfetto."""
import json
import unittest

from harness import HOME, CliTest

SCENARIOS = HOME / "scenarios" / "training"
SMALL = """\
foretoken: 1
name: a small job
model: llama-3.1-8b
software: megatron-bridge
hardware: {node: dgx-h100, nodes: 4}
training:
  arithmetic: bf16
  parallel: {tensor: 2, pipeline: 4, virtual_stages: 2}
  batch: {sequences: 64, micro: 1, sequence: 4096}
  tokens: 1e9
cost: {gpu_hour: 2.00USD/GPU/h}
"""


class Training(CliTest):
    def test_estimate_answers_in_words_and_json(self):
        path = self.write("small.yaml", SMALL)
        answer = self.run_it("estimate", path, "--step", "train")
        self.expect(answer, 0)
        for word in ("MFU", "memory:", "pipeline bubble", "days", "checkpoint"):
            self.assertIn(word, answer.out)
        json_answer = self.run_it("estimate", path, "--json").json()
        self.assertEqual(json_answer["gpus"], 32)
        self.assertAlmostEqual(sum(json_answer["waterfall_ms"].values()) / 1e3,
                               json_answer["step_time_s"], delta=1e-3 * json_answer["step_time_s"])

    def test_run_writes_a_run_that_exports_to_perfetto(self):
        path = self.write("small.yaml", SMALL)
        answer = self.run_it("run", path, "--out", "result", "--json")
        self.expect(answer, 0)
        summary = answer.json()
        self.assertLess(abs(summary["step_time_s"] / summary["closed_form_s"] - 1), 0.1)
        for name in ("summary.json", "run.h5", "report.html", "config.resolved.yaml", "manifest.json"):
            self.assertTrue((self.folder / "result" / name).exists(), name)
        exported = self.run_it("export", "result", "--to", "perfetto", "--out", "t.json")
        self.expect(exported, 0, "events, about")
        events = json.loads((self.folder / "t.json").read_text())["traceEvents"]
        work = [e for e in events if e["ph"] == "X" and e["cat"] == "compute"]
        # 4 ranks x 2 chunks x 8 micro-batches, forward and backward, each in two parts.
        self.assertEqual(len(work), 4 * 2 * 8 * 4)
        for rank in range(4):
            spans = sorted((e["ts"], e["ts"] + e["dur"]) for e in work if e["pid"] == rank)
            self.assertTrue(all(a[1] <= b[0] + 1e-3 for a, b in zip(spans, spans[1:])))
        one = self.run_it("export", "result", "--to", "perfetto", "--ranks", "1,3", "--out", "u.json")
        self.expect(one, 0)
        self.assertEqual({e["pid"] for e in json.loads((self.folder / "u.json").read_text())["traceEvents"]},
                         {1, 3})
        self.expect(self.run_it("export", "result", "--to", "perfetto", "--max-size", "1kB"), 6, "--max-size")
        self.expect(self.run_it("export", "result", "--to", "perfetto", "--from", "9000s"), 3, "no event")
        self.expect(self.run_it("export", "result", "--to", "nothing"), 2)
        self.expect(self.run_it("export", "nowhere", "--to", "perfetto"), 3, "no manifest.json")

    def test_the_same_scenario_gives_the_same_answer(self):
        path = self.write("small.yaml", SMALL)
        first, second = (self.run_it("run", path, "--no-files", "--json").json() for _ in range(2))
        for answer in (first, second):
            answer.pop("simulation")
        self.assertEqual(first, second)

    def test_bad_layouts_name_the_rule_and_exit_3(self):
        for old, new, words in (
                ("tensor: 2", "tensor: 3", "tensor 3 does not divide the 32 attention heads"),
                ("micro: 1", "micro: 128", "micro batch of 128 is larger"),
                ("pipeline: 4, virtual_stages: 2", "pipeline: 4, stage_layers: [16, 0, 8, 8]",
                 "zero layers in a stage"),
                ("virtual_stages: 2}", "expert: 2}", "the model has no experts"),
                ("sequences: 64", "sequences: 63", "does not divide the global batch of 63")):
            text = SMALL.replace(old, new, 1)
            self.assertNotEqual(text, SMALL)
            path = self.write("bad.yaml", text)
            for command in ("estimate", "run", "check"):
                answer = self.run_it(command, path)
                self.expect(answer, 3, words, "bad.yaml:8:")
        odd = SMALL.replace("{tensor: 2, pipeline: 4, virtual_stages: 2}", "{pipeline: 1}\n  schedule: dualpipe")
        self.expect(self.run_it("estimate", self.write("odd.yaml", odd)), 3, "even number of stages")

    def test_what_cannot_fit_is_exit_4_with_the_memory_account(self):
        text = SMALL.replace("llama-3.1-8b", "llama-3.1-405b").replace("virtual_stages: 2", "virtual_stages: 1")
        answer = self.run_it("estimate", self.write("large.yaml", text))
        self.expect(answer, 4, "out of memory", "GB too much", "optimizer")

    def test_plan_ranks_and_says_why(self):
        path = self.write("small.yaml", SMALL)
        plan = self.run_it("plan", path, "--json").json()
        self.assertGreater(plan["fit"], 5)
        times = [r["metrics"]["step_time_s"] for r in plan["ranked"]]
        self.assertEqual(times, sorted(times))
        self.assertTrue(all(r["why"] for r in plan["ranked"][1:]))
        self.assertGreater(len(plan["rejected"]), 0)
        for option in ("--max-gpus", "--budget", "--power-limit"):
            self.expect(self.run_it("plan", path, option, "8"), 2, option, "plans of serving")
        self.expect(self.run_it("plan", path, "--simulate", "-1"), 2, "--simulate")


if __name__ == "__main__":
    unittest.main()
