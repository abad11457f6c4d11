"""Traffic over a fabric alone: the answer, its files, and bad input."""
import json
import unittest

import h5py

from harness import HOME, CliTest

SHARED = HOME / "scenarios" / "network" / "contention-shared-rails.yaml"


class TrafficTest(CliTest):
    def test_run_writes_what_it_says(self):
        answer = self.run_it("run", SHARED, "--out", "r", "--json")
        self.assertEqual(answer.code, 0, answer.err)
        summary = answer.json()
        self.assertEqual(summary["kind"], "traffic")
        experts = summary["traffic"][0]
        self.assertGreater(experts["slowdown"], 1.1)
        self.assertGreater(experts["mean_ms"], experts["alone_ms"])
        self.assertTrue(any(w["who"] == "experts" and w["whom"] == "kv" for w in summary["waits"]))
        self.assertEqual(sorted(p.name for p in (self.folder / "r").iterdir()),
                         ["config.resolved.yaml", "manifest.json", "report.html", "run.h5", "summary.json"])
        page = (self.folder / "r" / "report.html").read_text()
        self.assertIn("谁在等谁", page)
        self.assertIn("<svg", page)
        with h5py.File(self.folder / "r" / "run.h5") as tables:
            bins = tables["link_series"].attrs["bins"]
            links = len(tables["links/bytes"])
            self.assertEqual(len(tables["link_series/utilisation"]), bins * links)
            self.assertLessEqual(max(tables["link_series/utilisation"][:]), 1.001)
            self.assertEqual(len(tables["repeats/seconds"]), 32)

    def test_equal_runs_are_equal(self):
        first = self.run_it("run", SHARED, "--no-files", "--json").json()
        second = self.run_it("run", SHARED, "--no-files", "--json").json()
        for run in (first, second):
            run.pop("run")
        self.assertEqual(json.dumps(first), json.dumps(second))

    def test_text_answer_and_check(self):
        answer = self.run_it("run", SHARED, "--no-files")
        self.assertEqual(answer.code, 0, answer.err)
        self.assertIn("who waited on whom", answer.out)
        self.assertIn("experts", answer.out)
        self.expect(self.run_it("check", SHARED), 0)

    def test_bad_fabric(self):
        for old, new, words in (("nodes: 0-3}\n    tokens", "nodes: 0-9}\n    tokens", "layout larger than the fabric"),
                                ("nodes: 8", "nodes: 8\n  nic_bandwidth: 400GB/s", "then write 400Gb/s"),
                                ("rail_optimised, ports: 64", "single_switch, ports: 8", "8 ports but 64 links"),
                                ("bytes: 9.2GB", "bytes: 9.2", "9.2")):
            path = self.variant((old, new), source=SHARED)
            answer = self.run_it("run", path, "--no-files")
            self.expect(answer, 3, words, "variant.yaml:")


if __name__ == "__main__":
    unittest.main()
