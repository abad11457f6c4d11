"""foretoken export and emit: read back with the eyes of the programs they are for."""
import csv
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

import numpy as np
import pandas as pd

from harness import BINARY, HOME, QUICKSTART, CliTest

SHORT = ("--set", "workload.duration=300s")


def vllm_metrics(file):
    """calculate_metrics of vLLM's serve.py, on the arrays of its own result file."""
    ttfts, tpots, itls, e2els, good_input, good_output = [], [], [], [], 0, 0
    for length, output, ttft, gaps, error in zip(file["input_lens"], file["output_lens"], file["ttfts"], file["itls"],
                                                 file["errors"]):
        if error:
            continue
        latency = ttft + sum(gaps)
        good_input += length
        good_output += output
        ttfts.append(ttft)
        itls += gaps
        e2els.append(latency)
        if output > 1:
            tpots.append((latency - ttft) / (output - 1))
    result = {"completed": len(ttfts), "total_input_tokens": good_input, "total_output_tokens": good_output,
              "request_throughput": len(ttfts) / file["duration"], "output_throughput": good_output / file["duration"],
              "total_token_throughput": (good_input + good_output) / file["duration"]}
    for name, values in (("ttft", ttfts), ("tpot", tpots), ("itl", itls), ("e2el", e2els)):
        result[f"mean_{name}_ms"] = np.mean(values) * 1e3
        result[f"median_{name}_ms"] = np.median(values) * 1e3
        result[f"std_{name}_ms"] = np.std(values) * 1e3
        for p in (50, 90, 95, 99):
            result[f"p{p}_{name}_ms"] = np.percentile(values, p) * 1e3
    return result


class Exports(CliTest):
    @classmethod
    def setUpClass(cls):
        import tempfile
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="foretoken-export-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared)
        subprocess.run([BINARY, "run", str(QUICKSTART), *SHORT, "--out", str(cls.shared / "run")], check=True,
                       capture_output=True)
        cls.run_folder = cls.shared / "run"
        cls.summary = json.loads((cls.run_folder / "summary.json").read_text())

    def export(self, *arguments):
        answer = self.run_it("export", self.run_folder, *arguments)
        self.assertEqual(answer.code, 0, answer.err)
        return answer

    def test_vllm_file_agrees_with_vllms_formulas_and_with_the_summary(self):
        self.export("--to", "vllm-json", "--out", "bench.json")
        file = json.loads((self.folder / "bench.json").read_text())
        for key, value in vllm_metrics(file).items():
            self.assertAlmostEqual(file[key], value, delta=1e-9 * max(1.0, abs(value)), msg=key)
            if "itl" not in key:  # the summary has no gaps
                self.assertAlmostEqual(self.summary[key], value, delta=1e-9 * max(1.0, abs(value)), msg=key)
        basis = file["foretoken"]
        self.assertGreater(basis["gaps_from_steps"], 0)
        self.assertEqual(basis["gaps_from_steps"] + basis["gaps_equal"], file["completed"])

    def test_vllm_file_is_a_trace_that_replays(self):
        self.export("--to", "vllm-json", "--out", "bench.json")
        again = self.run_it("run", QUICKSTART, "--set", f"workload={{arrivals: {{trace: {self.folder}/bench.json}}}}",
                            "--json", "--no-files")
        self.assertEqual(again.code, 0, again.err)
        for key in ("completed", "p99_ttft_ms", "p99_tpot_ms", "total_output_tokens"):
            self.assertAlmostEqual(again.json()[key], self.summary[key], delta=1e-6 * self.summary[key], msg=key)

    def test_csv_and_jsonl_in_pandas(self):
        self.export("--to", "csv")
        table = pd.read_csv(self.folder / "requests.csv")
        self.assertEqual(len(table), self.summary["completed"])
        self.assertAlmostEqual(np.percentile(table.ttft_s, 99) * 1e3, self.summary["p99_ttft_ms"], places=6)
        lines = pd.read_json(io.StringIO(self.export("--to", "jsonl", "--out", "-").out), lines=True)
        self.assertTrue(np.allclose(lines.e2el_s, table.e2el_s, rtol=1e-12))
        for name in ("iterations", "timeseries"):
            self.export("--to", "csv", "--table", name)
            self.assertGreater(len(list(csv.DictReader((self.folder / f"{name}.csv").open()))), 10)

    def test_a_sample_of_requests(self):
        answer = self.run_it("run", QUICKSTART, *SHORT, "--out", "sample", "--json", "--set", "records={one_in: 50}")
        self.assertEqual(answer.code, 0, answer.err)
        summary = answer.json()
        for key in ("completed", "output_throughput", "p99_ttft_ms", "p99_tpot_ms"):
            self.assertAlmostEqual(summary[key], self.summary[key], delta=0.02 * self.summary[key], msg=key)
        self.assertIs(summary["saturated"], None)  # not judged on a sample
        self.assertIs(self.summary["saturated"], False)
        for folder, to in ((self.run_folder, "all.csv"), ("sample", "sample.csv")):
            self.expect(self.run_it("export", folder, "--to", "csv", "--out", to), 0)
        every = pd.read_csv(self.folder / "all.csv")
        some = pd.read_csv(self.folder / "sample.csv")
        self.assertIn(len(some), (len(every) // 50, len(every) // 50 + 1))
        pd.testing.assert_frame_equal(some, every.iloc[some.request].reset_index(drop=True))
        kept, other = some.request[3], 3 * 50 if some.request[3] != 3 * 50 else 3 * 50 + 1
        self.expect(self.run_it("explain", "sample", f"request={kept}"), 0, "")
        self.expect(self.run_it("explain", "sample", f"request={other}"), 3, "one request of 50", "the next is")
        self.expect(self.run_it("export", "sample", "--to", "vllm-json"), 3, "records: all")
        self.assertEqual(self.run_it("report", "sample").code, 0)

    def test_perfetto(self):
        self.export("--to", "perfetto", "--from", "10s", "--until", "20s", "--out", "trace.json")
        events = json.loads((self.folder / "trace.json").read_text())["traceEvents"]
        steps = [e for e in events if e["ph"] == "X"]
        self.assertGreater(len(steps), 100)
        for step in steps:
            self.assertGreater(step["ts"] + step["dur"], 10e6)
            self.assertLess(step["ts"], 20e6)
        opened = {e["id"] for e in events if e["ph"] == "b"}
        self.assertEqual(opened, {e["id"] for e in events if e["ph"] == "e"})
        # Steps of a replica never overlap.
        for a, b in zip(steps, steps[1:]):
            self.assertLessEqual(a["ts"] + a["dur"], b["ts"] + 2e-3)

    def test_too_large_a_trace_is_told_before_it_is_made(self):
        answer = self.run_it("export", self.run_folder, "--to", "perfetto", "--max-size", "10kB")
        self.expect(answer, 6, "--max-size", "--from")
        self.assertEqual(self.files(), [])

    def test_wrong_use(self):
        self.expect(self.run_it("export", self.run_folder), 2, "--to FORMAT")
        self.expect(self.run_it("export", self.run_folder, "--to", "parquet"), 2, "csv, jsonl")
        self.expect(self.run_it("export", self.run_folder, "--to", "csv", "--table", "request"), 2, "did you mean 'requests'")
        self.expect(self.run_it("export", self.run_folder, "--to", "csv", "--from", "1s"), 2, "perfetto")
        self.expect(self.run_it("export", self.folder, "--to", "csv"), 3, "not the folder of a run")
        self.expect(self.run_it("export", self.run_folder, "--to", "csv", "--out", "no/such/folder.csv"), 3, "no/such")
        self.assertEqual(self.files(), [])

    def test_the_example_reads_the_run(self):
        script = HOME / "analysis" / "examples" / "read_run.py"
        process = subprocess.run([sys.executable, str(script), str(self.run_folder)], capture_output=True, text=True)
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertIn("share of busy time", process.stdout)


class Emit(CliTest):
    def emit(self, target, *arguments, code=0):
        answer = self.run_it("emit", QUICKSTART, target, *arguments)
        self.assertEqual(answer.code, code, answer.err)
        return answer.out

    def parses_as_bash(self, text):
        process = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
        self.assertEqual(process.returncode, 0, process.stderr + text)

    def test_launch_scripts(self):
        for engine, words in (("sglang", "sglang.launch_server"), ("vllm", "vllm serve"), ("trtllm", "trtllm-serve")):
            text = self.emit(engine)
            self.assertIn(words, text)
            self.assertIn("deepseek-ai/DeepSeek-R1", text)
            self.parses_as_bash(text)
        self.assertIn("says nothing about another engine", self.emit("vllm"))
        self.assertNotIn("says nothing about another engine", self.emit("sglang"))

    def test_emitted_flags_are_a_scenario_again(self):
        text = self.emit("sglang", "--set", "deployment.parallel={tensor: 1, data_attention: 8, expert: 8}")
        command = text[text.index("python3 -m"):].split("\n\n")[0].replace("\\\n", " ")
        flags = command.split('"$MODEL"')[1].split("--host")[0].strip()
        scenario = QUICKSTART.read_text()
        start, end = scenario.index("  parallel:"), scenario.index("  prefix_caching:")
        scenario = scenario[:start] + f'  engine_args: "{flags}"\n' + scenario[end:]
        scenario = "\n".join(l for l in scenario.splitlines() if not l.lstrip().startswith(("batching:", "kv_cache:", "weights:")))
        same = self.run_it("run", self.write("again.yaml", scenario), *SHORT, "--json", "--no-files")
        self.assertEqual(same.code, 0, same.err)
        one = self.run_it("run", QUICKSTART, *SHORT, "--set", "deployment.parallel={tensor: 1, data_attention: 8, expert: 8}",
                          "--json", "--no-files")
        self.assertEqual(one.code, 0, one.err)
        for key in ("deployment", "p99_ttft_ms", "p99_tpot_ms"):
            a, b = same.json()[key], one.json()[key]
            self.assertEqual(a, b, key)

    def test_kubernetes(self):
        for overrides, kinds in (((), ["Deployment", "Service"]),
                                 (("--set", "deployment.parallel={tensor: 8, data_attention: 2, expert: 16}", "--set", "hardware.nodes=2"),
                                  ["LeaderWorkerSet", "Service"])):
            text = self.emit("k8s", *overrides)
            try:
                import yaml
                documents = list(yaml.safe_load_all(text))
                self.assertEqual([d["kind"] for d in documents], kinds)
            except ImportError:
                for kind in kinds:
                    self.assertIn(f"kind: {kind}", text)

    def test_slurm_and_bench_are_bash(self):
        for nodes in (1, 2):
            layout = f"deployment.parallel={{tensor: 8, data_attention: {nodes}, expert: {8 * nodes}}}"
            self.parses_as_bash(self.emit("slurm", "--set", layout, "--set", f"hardware.nodes={nodes}"))
        bench = self.emit("bench")
        self.parses_as_bash(bench)
        self.assertIn("--goodput ttft:2000 tpot:50", bench)

    def test_bench_of_a_run_closes_the_loop(self):
        """With a stand-in for vLLM's client that measures exactly what was predicted."""
        self.assertEqual(self.run_it("run", QUICKSTART, *SHORT, "--out", "run").code, 0)
        answer = self.run_it("emit", "run", "bench")
        self.assertEqual(answer.code, 0, answer.err)
        self.assertIn("p99_ttft", answer.out)
        self.assertEqual(self.run_it("export", "run", "--to", "vllm-json", "--out", "like.json").code, 0)
        tools = self.folder / "tools"
        tools.mkdir()
        (tools / "vllm").write_text('#!/bin/bash\nwhile [ $# -gt 0 ]; do\n'
                                    'case $1 in --result-dir) d=$2;; --result-filename) f=$2;; esac; shift; done\n'
                                    'cp like.json "$d/$f"\n')
        (tools / "foretoken").write_text(f'#!/bin/bash\nexec "{BINARY}" "$@"\n')
        for tool in tools.iterdir():
            tool.chmod(0o755)
        process = subprocess.run(["bash", "-c", answer.out],
                                 cwd=self.folder, capture_output=True, text=True,
                                 env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"})
        self.assertEqual(process.returncode, 0, process.stderr)
        rows = [l for l in process.stdout.splitlines() if "p99_ttft_ms" in l]
        self.assertEqual(len(rows), 6)
        self.assertTrue(all("+0.0%" in row or "-0.0%" in row for row in rows), process.stdout)

    def test_hostile_names_stay_in_their_comment(self):
        path = self.variant(("name: DeepSeek-R1 on one HGX H200 node", 'name: "x\\nrm -rf / #\\n"'))
        for target in ("sglang", "k8s", "slurm", "bench"):
            answer = self.run_it("emit", path, target)
            self.assertEqual(answer.code, 0, answer.err)
            self.assertNotRegex(answer.out, r"(?m)^rm -rf")

    def test_wrong_use(self):
        self.expect(self.run_it("emit", QUICKSTART, "vlm"), 2, "did you mean 'vllm'")
        self.expect(self.run_it("emit", self.folder, "vllm"), 3, "not the folder of a run")
        self.expect(self.run_it("emit", QUICKSTART), 2, "usage")

    def test_a_run_whose_scenario_changed_is_refused(self):
        path = self.variant(("seed: 1", "seed: 1"))
        self.assertEqual(self.run_it("run", path, *SHORT, "--out", "run").code, 0)
        path.write_text(path.read_text().replace("replicas: 1", "replicas: 1  ").replace("max_sequences: 256", "max_sequences: 128"))
        self.expect(self.run_it("emit", "run", "sglang"), 3, "has changed since")


if __name__ == "__main__":
    unittest.main()
