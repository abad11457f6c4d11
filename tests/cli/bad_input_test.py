"""Bad input: one clear message with its place, the right exit code, nothing left behind."""
import gzip
import json
import os
import subprocess
import re
import shutil
import unittest

import h5py

from harness import BINARY, HOME, QUICKSTART, CliTest

# Complete and small; every test breaks one thing in it.
BASE = """\
foretoken: 1
name: a test
model: deepseek-r1
engine: sglang-0.5.9
hardware: {node: hgx-h200, nodes: 1}
deployment:
  weights: fp8
  kv_cache: bf16
  parallel: {tensor: 8}
  batching: {policy: chunked_prefill, max_tokens: 8192, max_sequences: 256}
workload:
  arrivals: {poisson: 1/s}
  input: {tokens: 1000}
  output: {tokens: 50}
  requests: 20
  warmup: 1s
slo: [ttft.p99 <= 2s]
"""
TRACE_BASE = BASE.replace("arrivals: {poisson: 1/s}", "arrivals: {trace: ./trace.csv}").replace(
    "  input: {tokens: 1000}\n  output: {tokens: 50}\n  requests: 20\n  warmup: 1s\n", "")
HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
ROWS = ["2023-11-16 18:15:46.6805900,374,44\n", "2023-11-16 18:15:50.9951690,396,109\n",
        "2023-11-16 18:15:51.2225670,879,55\n"]


class BadInput(CliTest):
    def scenario(self, *replacements, base=BASE):
        text = base
        for old, new in replacements:
            self.assertIn(old, text)
            text = text.replace(old, new, 1)
        return self.write("scenario.yaml", text)

    def refuse(self, scenario, code, *words, place=None, arguments=()):
        before = self.files()
        for command in (("run", scenario, "--out", "result", *arguments), ("check", scenario)):
            answer = self.run_it(*command)
            self.expect(answer, code, *words)
            self.assertEqual(answer.out, "")
            if place:
                self.assertRegex(answer.err, rf"scenario\.yaml:{place[0]}:{place[1]}: error: ")
                self.assertRegex(answer.err, r"(?m)^ .*\^")  # a caret below the line
        self.assertEqual(self.files(), before)


class Base(BadInput):
    def test_the_base_is_fine(self):
        answer = self.run_it("run", self.scenario(), "--json", "--no-files")
        self.assertEqual(answer.code, 0, answer.err)
        self.assertEqual(answer.json()["deployment"]["gpus"], 8)
        self.write("trace.csv", HEADER + "".join(ROWS))
        answer = self.run_it("run", self.scenario(base=TRACE_BASE), "--json", "--no-files")
        self.assertEqual(answer.code, 0, answer.err)
        self.assertEqual(answer.json()["completed"], 3)


class ScenarioFile(BadInput):
    def test_unknown_key(self):
        self.refuse(self.scenario(("tensor: 8", "tensro: 8")), 3, "unknown key 'tensro'", "did you mean 'tensor'?",
                    place=(9, 14))

    def test_bare_number_where_a_unit_is_due(self):
        self.refuse(self.scenario(("warmup: 1s", "warmup: 120")), 3, "120", "unit", place=(16, 11))

    def test_wrong_dimension(self):
        self.refuse(self.scenario(("warmup: 1s", "warmup: 1GB")), 3, "1GB", place=(16, 11))

    def test_all_problems_in_one_pass(self):
        path = self.scenario(("tensor: 8", "tensro: 8"), ("warmup: 1s", "warmup: 120"), ("fp8", "fp9"))
        answer = self.run_it("check", path)
        self.assertEqual(answer.code, 3)
        self.assertGreaterEqual(len(re.findall(r"scenario\.yaml:\d+:\d+: error: ", answer.err)), 3, answer.err)
        self.assertNotIn("terminate", answer.err)

    def test_bits_and_bytes(self):
        path = self.scenario(("nodes: 1}", "nodes: 1, nic_bandwidth: 400GB/s}"))
        answer = self.run_it("check", path)
        self.assertIn("warning", answer.err)
        self.assertRegex(answer.err, r"\b8\b")
        self.assertIn("400Gb/s", answer.err)
        self.assertEqual(answer.code, 0, answer.err)

    def test_not_yaml(self):
        self.refuse(self.write("scenario.yaml", "model: [deepseek-r1\nengine: }\n"), 3, "scenario.yaml:")

    def test_empty(self):
        self.refuse(self.write("scenario.yaml", ""), 3, "scenario.yaml")

    def test_a_folder_and_a_missing_file(self):
        self.refuse(self.folder / "nothing.yaml", 3, "nothing.yaml")
        (self.folder / "folder.yaml").mkdir()
        self.refuse(self.folder / "folder.yaml", 3, "folder.yaml")

    def test_missing_model_file(self):
        self.refuse(self.scenario(("model: deepseek-r1", "model: ./gone.json")), 3, "gone.json", place=(3, 8))

    def test_unknown_names(self):
        self.refuse(self.scenario(("model: deepseek-r1", "model: deepseek-r7")), 3, "deepseek-r7", place=(3, 8))
        self.refuse(self.scenario(("hgx-h200", "hgx-h2000")), 3, "hgx-h2000", place=(5, 18))
        self.refuse(self.scenario(("sglang-0.5.9", "sglnag-0.5.9")), 3, "sglnag", place=(4, 9))

    def test_format_of_the_future(self):
        self.refuse(self.scenario(("foretoken: 1", "foretoken: 2")), 3, "2", place=(1, 12))


class Layout(BadInput):
    def test_does_not_divide_the_heads(self):
        path = self.scenario(("tensor: 8", "tensor: 3"))
        self.refuse(path, 3, "128", "3")

    def test_does_not_divide_the_experts(self):
        # 24 GPUs, which 3 divides; it does not divide 256 experts.
        self.refuse(self.scenario(("tensor: 8}", "tensor: 8, data_attention: 3, expert: 3}"), ("nodes: 1", "nodes: 3")),
                    3, "256", "expert")

    def test_does_not_divide_the_layers(self):
        answer = self.run_it("check", self.scenario(("tensor: 8}", "tensor: 1, pipeline: 62}"), ("nodes: 1", "nodes: 8")))
        self.assertEqual(answer.code, 3, answer.err)
        self.assertIn("61", answer.err)

    def test_more_gpus_than_nodes_hold(self):
        self.refuse(self.scenario(("tensor: 8", "tensor: 16")), 3, "16", "8")

    def test_zero_and_negative(self):
        for value in ("0", "-8", "2147483648", "8.5", "eight"):
            self.refuse(self.scenario(("tensor: 8", f"tensor: {value}")), 3, value, place=(9, 22))


class DoesNotFit(BadInput):
    def test_says_what_is_missing(self):
        # 671 GB of weights on one node of 640 GB.
        self.refuse(self.scenario(("hgx-h200", "hgx-h100")), 4, "weights", "KV", "activations", "framework", "missing")

    def test_no_result_folder(self):
        answer = self.run_it("run", self.scenario(("hgx-h200", "hgx-h100")), "--out", "result")
        self.assertEqual(answer.code, 4)
        self.assertEqual(self.files(), ["scenario.yaml"])


class Trace(BadInput):
    def refuse_trace(self, content, *words, name="trace.csv"):
        if isinstance(content, bytes):
            (self.folder / name).write_bytes(content)
        else:
            self.write(name, content)
        self.refuse(self.scenario(("trace.csv", name), base=TRACE_BASE), 3, name, *words)

    def test_missing(self):
        self.refuse(self.scenario(base=TRACE_BASE), 3, "trace.csv")

    def test_unsorted(self):
        self.refuse_trace(HEADER + ROWS[1] + ROWS[0], "trace.csv:3")

    def test_negative_and_zero_lengths(self):
        for bad in ("-374,44", "0,44", "374,0", "374,-1", "99999999999,5"):
            self.refuse_trace(HEADER + ROWS[0] + f"2023-11-16 18:15:47.0,{bad}\n", "trace.csv:3")

    def test_truncated_line(self):
        self.refuse_trace(HEADER + ROWS[0] + ROWS[1][:-5].rsplit(",", 1)[0], "trace.csv:3")

    def test_truncated_gzip(self):
        whole = gzip.compress((HEADER + "".join(ROWS) * 50).encode())
        self.refuse_trace(whole[: len(whole) // 2], name="trace.csv.gz")

    def test_empty(self):
        self.refuse_trace("")
        self.refuse_trace(HEADER)

    def test_not_a_trace(self):
        self.refuse_trace("a,b,c\n1,2,3\n")
        self.refuse_trace(bytes(range(256)) * 8)


class Model(BadInput):
    def config(self, **changes):
        found = [p for p in (HOME / "scenarios" / "models").rglob("*.json") if "R1" in p.name or "r1" in p.name]
        found = [p for p in found if "istill" not in p.name]
        self.assertTrue(found, "no config of DeepSeek-R1 in the catalogue")
        config = json.loads(found[0].read_text())
        for key, value in changes.items():
            if value is None:
                config.pop(key)
            else:
                config[key] = value
        self.write("config.json", json.dumps(config, indent=1))
        return self.scenario(("model: deepseek-r1", "model: ./config.json"))

    def test_same_config_is_fine(self):
        answer = self.run_it("check", self.config())
        self.assertEqual(answer.code, 0, answer.err)

    def test_unknown_architecture(self):
        self.refuse(self.config(architectures=["MambaForCausalLM"], model_type="mamba"), 3, "MambaForCausalLM")

    def test_unknown_structural_keys_are_listed(self):
        self.refuse(self.config(n_hash_layers=3, ring_heads=5), 3, "n_hash_layers", "ring_heads")

    def test_missing_dimension(self):
        self.refuse(self.config(hidden_size=None), 3, "hidden_size")

    def test_impossible_dimension(self):
        self.refuse(self.config(hidden_size=-7168), 3, "hidden_size")

    def test_truncated_json(self):
        path = self.config()
        config = self.folder / "config.json"
        config.write_text(config.read_text()[:300])
        self.refuse(path, 3, "config.json")


class Files(BadInput):
    def broken_home(self, change):
        """A catalogue whose calibration file is a changed copy."""
        home = self.folder / "home"
        home.mkdir()
        (home / "scenarios").symlink_to(HOME / "scenarios")
        file = "validation/calibrate/calibration.h5"
        (home / file).parent.mkdir(parents=True)
        shutil.copy(HOME / file, home / file)
        change(home / file)
        return {"FORETOKEN_HOME": str(home)}

    def refuse_home(self, env, *words):
        path = self.scenario()
        before = self.files()
        answer = self.run_it("run", path, "--out", "result", env=env)
        self.expect(answer, 3, "calibration", *words)
        self.assertEqual(self.files(), before)

    def test_calibration_of_another_version(self):
        def change(path):
            with h5py.File(path, "r+") as file:
                self.assertIn("format_version", file.attrs)
                file.attrs["format_version"] = 99
        self.refuse_home(self.broken_home(change), "99")

    def test_damaged_calibration(self):
        def change(path):
            data = path.read_bytes()
            path.write_bytes(data[: len(data) // 2])
        self.refuse_home(self.broken_home(change))

    def test_more_memory_than_the_machine_has(self):
        path = self.variant(("arrivals: {trace: azure-llm-2023-conv, rate_scale: 1.0}",
                             "arrivals: {poisson: 100/s}\n  input: {tokens: 10}\n  output: {tokens: 10}\n"
                             "  requests: 900000000"))
        before = self.files()
        self.expect(self.run_it("run", path, "--mem-limit", "4GiB"), 6, "168 GiB", "allowed", "records: none")
        self.expect(self.run_it("run", QUICKSTART, "--mem-limit", "1MiB"), 6, "allowed")
        self.assertEqual(self.files(), before)

    def test_output_under_a_file(self):
        path = self.scenario()
        self.write("plain", "text")
        before = self.files()
        self.expect(self.run_it("run", path, "--out", "plain/result"), 3, "plain")
        self.expect(self.run_it("run", path, "--out", "plain"), 3, "plain")
        self.expect(self.run_it("run", path, "--out", "/proc/result"), 3, "/proc")
        self.assertEqual(self.files(), before)

    def test_output_over_something_else(self):
        (self.folder / "mine").mkdir()
        self.write("mine/thesis.txt", "years of work")
        self.expect(self.run_it("run", self.scenario(), "--out", "mine"), 3, "mine")
        self.assertEqual((self.folder / "mine" / "thesis.txt").read_text(), "years of work")

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full here")
    def test_standard_output_full(self):
        with open("/dev/full", "w") as full:
            process = subprocess.run([BINARY, "list", "models"], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(process.returncode, 3)
        self.assertIn("standard output", process.stderr)


if __name__ == "__main__":
    unittest.main()
