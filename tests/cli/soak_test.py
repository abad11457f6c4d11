"""Ten million requests in the memory of one million: nothing is kept of what is done."""
import unittest

from harness import CliTest

SCENARIO = """foretoken: 1
name: soak
model: deepseek-r1-distill-llama-8b
engine: vllm
hardware: {node: hgx-a100-80gb, nodes: 1}
deployment:
  weights: bf16
  parallel: {tensor: 1}
  replicas: 8
  router: least_requests
  batching: {policy: chunked_prefill, max_tokens: 2048, max_sequences: 128}
workload:
  arrivals: {poisson: 120/s}
  input: {tokens: 2048, mean: 128, sigma: 1}
  output: {tokens: 512, mean: 16, sigma: 1}
  requests: %d
cluster: {faults: {detection: 1s, random: {gpu: {mean_between: 2h, mean_repair: 1min}}}, retries: 1}
records: none
"""


class Soak(CliTest):
    def run_for(self, requests):
        answer = self.run_it("run", self.write(f"{requests}.yaml", SCENARIO % requests), "--json", "--no-files",
                             timeout=3600)
        self.assertEqual(answer.code, 0, answer.err)
        summary = answer.json()
        self.assertEqual(summary["arrived"], requests)
        self.assertEqual(summary["unfinished"], 0)
        self.assertEqual(summary["completed"] + summary["failed"], requests)  # rejected, timed out, lost: all of them
        self.assertTrue(summary["conservation"]["passed"], summary["conservation"]["errors"])
        return summary

    def test_memory_does_not_grow_with_requests(self):
        few = self.run_for(1_000_000)
        many = self.run_for(10_000_000)
        print(f"{few['run']['peak_rss_mib']:.1f} MiB after 10^6 requests, {many['run']['peak_rss_mib']:.1f} MiB after 10^7")
        self.assertLess(many["run"]["peak_rss_mib"], 1.1 * few["run"]["peak_rss_mib"])


if __name__ == "__main__":
    unittest.main()
