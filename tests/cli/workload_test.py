"""Traces and client pools: profiled, packed, run; requests of a run explained."""
import unittest

from harness import CliTest

SMALL = """\
foretoken: 1
name: small
model: llama-3.1-8b
engine: vllm-0.19.0
hardware: {node: h100-x1}
deployment:
  batching: {max_tokens: 512}
workload:
  arrivals: {poisson: 6/s}
  input: {tokens: 3000, low_fraction: 0.1}
  output: {tokens: 50}
  requests: 100
"""


class Import(CliTest):
    def test_six_lines_on_every_trace_of_the_catalogue(self):
        for name, words in (("azure-llm-2023-conv", ("19,366 in 3501.7 s", "1,155 mean", "CV of gaps 1.09")),
                            ("mooncake-conversation", ("12,031", "37.4 % of prompt tokens, 36.6 % of blocks"))):
            answer = self.run_it("import", name)
            self.expect(answer, 0)
            self.assertEqual(len(answer.out.splitlines()), 7)  # a heading and six
            for word in words:
                self.assertIn(word, answer.out)

    def test_a_client_pool_is_drawn_for_a_day_and_packs_to_the_same(self):
        profile = self.run_it("import", "servegen-deepseek-r1", "--json")
        self.expect(profile, 0)
        self.assertAlmostEqual(profile.json()["requests_per_s"], 16.0, delta=0.5)
        self.assertAlmostEqual(profile.json()["output_tokens"]["mean"], 1527, delta=60)
        self.expect(self.run_it("import", "servegen-deepseek-r1", "--pack", "again.csv.gz"), 0)
        again = self.run_it("import", "./again.csv.gz", "--json")
        self.assertEqual(again.out, profile.out)

    def test_bad_files(self):
        self.write("empty.csv", "arrival_s,input_tokens,output_tokens\n")
        self.expect(self.run_it("import", "empty.csv"), 3, "empty.csv: error: holds no request")
        self.write("back.csv", "arrival_s,input_tokens,output_tokens\n5,1,1\n4,1,1\n")
        self.expect(self.run_it("import", "back.csv"), 3, "back.csv:3:1: error: earlier than the row before")
        self.expect(self.run_it("import", "nowhere.csv"), 3, "no such file")
        self.expect(self.run_it("import", "run.sqlite"), 2, "--to-csv")
        self.expect(self.run_it("import", "azure-llm-2023-conv", "--pack", "x"), 2, "--pack is for client pools")


class Run(CliTest):
    def test_a_pool_and_conversations_run(self):
        for arrivals in ("{clients: servegen-deepseek-r1, rate_scale: 0.2, from: 20h}",
                         "{sessions: 0.5/s, turns: 3, think_time: 2s}"):
            lengths = "" if "clients" in arrivals else "  input: {tokens: 300}\n  output: {tokens: 80}\n"
            head = SMALL.split("workload:")[0]
            scenario = self.write("s.yaml", head + "workload:\n  arrivals: " + arrivals + "\n" + lengths +
                                  "  duration: 1min\n")
            answer = self.run_it("run", scenario, "--json", "--no-files")
            self.expect(answer, 0)
            self.assertGreater(answer.json()["completed"], 20)

    def test_more_than_can_be_served_is_a_verdict(self):
        scenario = self.write("s.yaml", SMALL.replace("6/s", "200/s").replace("requests: 100", "requests: 2000"))
        answer = self.run_it("run", scenario, "--no-files")
        self.expect(answer, 0)
        self.assertIn("Saturated: ", answer.out)
        self.assertIs(self.run_it("run", scenario, "--no-files", "--json").json()["saturated"], True)
        calm = self.write("c.yaml", SMALL)
        self.assertIs(self.run_it("run", calm, "--no-files", "--json").json()["saturated"], False)

    def test_engine_args(self):
        scenario = self.write("s.yaml", SMALL.replace(
            "  batching: {max_tokens: 512}\n", "  engine_args: --max-num-batched-tokens 512 --port 80\n"))
        answer = self.run_it("run", scenario, "--no-files", "--json")
        self.expect(answer, 0, "warning: --port is ignored")
        plain = self.run_it("run", self.write("p.yaml", SMALL), "--no-files", "--json").json()
        self.assertEqual(answer.json()["mean_ttft_ms"], plain["mean_ttft_ms"])
        wrong = self.write("w.yaml", SMALL.replace(
            "  batching: {max_tokens: 512}\n", "  engine_args: --max-num-seq 5\n"))
        self.expect(self.run_it("run", wrong, "--no-files"), 3, "w.yaml:7:16: error:",
                    "vllm has no flag --max-num-seq; did you mean --max-num-seqs?")


class Explain(CliTest):
    def test_a_request_in_words(self):
        self.expect(self.run_it("run", self.write("s.yaml", SMALL), "--out", "out"), 0)
        answer = self.run_it("explain", "out", "request=40")
        self.expect(answer, 0)
        self.assertEqual(answer.err, "")
        for word in ("request 40 of 100", "sent by its client", "reached replica 0", "in the queue",
                     "prefill of", "first token out", "decoded", "the client has it all", "TTFT"):
            self.assertIn(word, answer.out)

    def test_without_the_scenario_run_h5_still_tells(self):
        self.expect(self.run_it("run", self.write("s.yaml", SMALL), "--out", "out"), 0)
        (self.folder / "s.yaml").unlink()
        answer = self.run_it("explain", "out", "request=40")
        self.expect(answer, 0, "the scenario can no longer be read")
        self.assertIn("first token: TTFT", answer.out)
        self.write("s.yaml", SMALL.replace("6/s", "7/s"))
        self.expect(self.run_it("explain", "out", "request=40"), 0, "has changed since")

    def test_metrics_and_keys(self):
        self.assertIn("(c - f) / (N - 1)", self.run_it("explain", "p99_tpot_ms").out)
        self.assertIn("f - a", self.run_it("explain", "TTFT").out)
        self.assertIn("new tokens a step", self.run_it("explain", "deployment.batching.max_tokens").out)
        self.assertIn("workload.arrivals.gamma", self.run_it("explain", "gamma").out)

    def test_mistakes(self):
        self.expect(self.run_it("explain", "tpto"), 2, "did you mean 'tpot'?")
        self.expect(self.run_it("explain", ".", "request=1"), 3, "is not the folder of a run")
        self.expect(self.run_it("explain", "."), 2, "Add request=N")
        self.expect(self.run_it("run", self.write("s.yaml", SMALL), "--out", "out"), 0)
        self.expect(self.run_it("explain", "out", "request=100"), 3, "numbered from 0 to 99")
        self.expect(self.run_it("explain", "out", "req=1"), 2, "write request=N")


if __name__ == "__main__":
    unittest.main()
