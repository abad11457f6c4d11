"""Traffic over a fabric alone: the answer, its files, and bad input."""
import json
import re
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
        data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S).group(1))
        self.assertEqual(data["kind"], "traffic")
        self.assertLessEqual(len(data["network"]["links"]), 16)
        self.assertEqual(data["network"]["links_used"], summary["links_used"])
        self.assertEqual(data["network"]["links"][0]["waiting_s"], max(l["waiting_s"] for l in data["network"]["links"]))
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

    def test_explain_says_who_waited_for_whom(self):
        self.expect(self.run_it("run", SHARED, "--out", "r"), 0)
        story = self.run_it("explain", "r", "traffic=experts")
        self.expect(story, 0)
        self.assertRegex(story.out, r"lost [0-9.]+ ms to kv")
        self.expect(self.run_it("explain", "r", "traffic=export"), 3, "there are: experts, kv")
        self.expect(self.run_it("explain", "r"), 2, "traffic=NAME")

    def test_schema_knows_the_keys(self):
        schema = self.run_it("schema", "--traffic").json()
        self.assertIn("topology_matrix", schema["properties"]["fabric"]["properties"])
        self.assertIn("expert_exchange", schema["properties"]["traffic"]["items"]["properties"]["operation"]["enum"])

    def test_a_deployment_on_one_fabric(self):
        one = HOME / "scenarios" / "network" / "disaggregated-one-fabric.yaml"
        answers = {}
        for mode in ("flows", "analytic"):
            answer = self.run_it("run", one, "--set", f"network.mode={mode}", "--set", "workload.requests=60",
                                 "--out", mode, "--json")
            self.expect(answer, 0)
            answers[mode] = answer.json()["network"]
            self.assertEqual(answers[mode]["mode"], mode)
            self.assertEqual(answers[mode]["not_over"], 0)
        moves = answers["flows"]["uses"]["kv_transfer"]
        self.assertEqual(moves["moves"], 60)
        self.assertGreaterEqual(moves["mean_ms"], moves["alone_ms"] * 0.999)
        self.assertAlmostEqual(answers["analytic"]["uses"]["kv_transfer"]["slowdown"], 1.0, places=3)
        with h5py.File(self.folder / "flows" / "run.h5") as tables:
            network = tables["network"]
            self.assertEqual(len(network["utilisation"]), network.attrs["bins"] * len(network["link_from"]))
            self.assertLessEqual(max(network["utilisation"][:]), 1.001)
            # What left the prefill nodes is what was handed over, by its share of the NIC's rate.
            into = sum(b for b, to in zip(network["link_bytes_kv_transfer"][:], network["link_to"].asstr()[:])
                       if to.startswith("node3.nic"))
            self.assertAlmostEqual(into * 0.89 / moves["bytes"], 1.0, places=2)

    def test_steps_and_kv_hold_each_other_up(self):
        beside = HOME / "scenarios" / "network" / "expert-exchange-beside-kv.yaml"
        answers = {}
        for nic in ("100Gb/s", "400Gb/s"):
            for mode in ("flows", "analytic"):
                answer = self.run_it("run", beside, "--set", f"network.mode={mode}", "--set", "workload.requests=150",
                                     "--set", f"hardware.nic_bandwidth={nic}", "--out", mode + nic[:3], "--json")
                self.expect(answer, 0)
                answers[mode, nic] = answer.json()
                self.assertTrue(answers[mode, nic]["conservation"]["passed"])
        uses = {key: answer["network"]["uses"] for key, answer in answers.items()}
        tpot = {key: answer["mean_tpot_ms"] for key, answer in answers.items()}
        narrow, wide = uses["flows", "100Gb/s"]["steps"], uses["flows", "400Gb/s"]["steps"]
        self.assertGreater(narrow["slowdown"], 1.02)
        self.assertGreater(wide["slowdown"], 1.0)
        self.assertLess(wide["slowdown"] - 1, (narrow["slowdown"] - 1) / 4)
        for nic in ("100Gb/s", "400Gb/s"):
            self.assertNotIn("steps", uses["analytic", nic])
            self.assertGreater(uses["flows", nic]["kv_transfer"]["slowdown"], 1.05)
        held_up = {nic: tpot["flows", nic] / tpot["analytic", nic] - 1 for nic in ("100Gb/s", "400Gb/s")}
        self.assertGreater(held_up["100Gb/s"], 0.01)
        self.assertLess(held_up["400Gb/s"], held_up["100Gb/s"] / 3)
        with h5py.File(self.folder / "flows100" / "run.h5") as tables:
            network = tables["network"]
            self.assertLessEqual(max(network["utilisation"][:]), 1.001)
            # Sent by a NIC, received by a NIC: as much.
            sent = received = 0.0
            for b, a, z in zip(network["link_bytes_steps"][:], network["link_from"].asstr()[:],
                               network["link_to"].asstr()[:]):
                sent += b * (".nic" in a and "leaf" in z)
                received += b * (".nic" in z and "leaf" in a)
            self.assertGreater(sent, narrow["bytes"])
            self.assertAlmostEqual(sent / received, 1.0, places=6)
        story = self.run_it("explain", "flows100", "traffic=steps")
        self.expect(story, 0)
        self.assertRegex(story.out, r"lost [0-9.]+ ms to kv_transfer")
        self.expect(self.run_it("explain", "flows100", "traffic=experts"), 3, "there are: kv_transfer")

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
