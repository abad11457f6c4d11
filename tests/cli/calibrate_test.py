"""Own measurements: from each kind of file into a calibration of one's own that changes predictions, and bad ones."""
import gzip
import json
import sqlite3
import unittest

from harness import CliTest

SCENARIO = """\
foretoken: 1
model: llama-3.1-8b
engine: vllm-0.19.0
hardware: {node: NODE}
deployment: {weights: bf16}
workload: {arrivals: {poisson: 1/s}, input: {tokens: 100}, output: {tokens: 10}, requests: 10}
"""
NCCL = """\
# nccl-tests version 2.17.1 nccl-headers=22703 nccl-library=22703
# Collective test starting: all_reduce_perf
#  Rank  0 Group  0 Pid  1 on  host device  0 [0x1b] NVIDIA H100 80GB HBM3
#  Rank  1 Group  0 Pid  1 on  host device  1 [0x43] NVIDIA H100 80GB HBM3
        1024           512      half     sum      -1    40.00    0.03    0.03      0    40.10    0.03    0.03      0
   134217728      67108864      half     sum      -1   1500.0   89.48   89.48      0   1501.2   89.41   89.41      0
"""
GEMM = "op_name,kernel_source,gemm_dtype,m,n,k,latency\n"


def trace(shapes):
    """A Kineto trace with one bf16 product of each (m, n, k, microseconds)."""
    events = []
    for i, (m, n, k, us) in enumerate(shapes):
        at = 1000 * (i + 1)
        events += [
            {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "tid": 1, "ts": at, "dur": 20,
             "args": {"Input Dims": [[m, k], [k, n]], "Input type": ["c10::BFloat16", "c10::BFloat16"]}},
            {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "tid": 1, "ts": at + 5, "dur": 1,
             "args": {"correlation": i}},
            {"ph": "X", "cat": "kernel", "name": "sm90_xmma_gemm_bf16bf16", "tid": 7, "ts": at + 30, "dur": us,
             "args": {"stream": 7, "device": 0, "correlation": i}}]
    return json.dumps({"deviceProperties": [{"id": 0, "name": "NVIDIA H100 80GB HBM3", "totalGlobalMem": 85e9}],
                       "traceEvents": events})


class Calibrate(CliTest):
    def scenario(self, node):
        return self.write(f"{node}.yaml", SCENARIO.replace("NODE", node))

    def decode_ms(self, node, calibration=None):
        arguments = ["--set", f"calibration={calibration}"] if calibration else []
        answer = self.run_it("estimate", self.scenario(node), "--json", *arguments)
        self.assertEqual(answer.code, 0, answer.err)
        return answer.json()

    def test_a_trace_changes_the_products_it_measured(self):
        # The qkv product of the 64-sequence decode step, said to take 50 us where a good one takes some 25 us.
        self.write("t.pt.trace.json", trace([(64, 6144, 4096, 50)]))
        answer = self.run_it("calibrate", "t.pt.trace.json", "--out", "mine.h5")
        self.assertEqual(answer.code, 0, answer.err)
        self.assertIn("1 rows for h100-sxm", answer.err)
        before, after = self.decode_ms("h100-x1"), self.decode_ms("h100-x1", "mine.h5")
        qkv = [[op for op in step["operators"] if op["name"] == "qkv_proj"][0] for step in (before, after)]
        self.assertGreater(qkv[1]["ms"], 1.5 * qkv[0]["ms"])
        self.assertAlmostEqual(qkv[1]["ms"] / qkv[1]["calls"], 0.05, delta=0.01)
        attention = [[op for op in step["operators"] if "attention" in op["name"]][0]["ms"] for step in (before, after)]
        self.assertEqual(attention[0], attention[1])

    def test_nccl_tests_and_csv_and_nsight_together(self):
        self.write("all_reduce.txt", NCCL)
        self.write("gemm.vllm-0.19.0.csv", GEMM + "gemm,own,bfloat16,64,6144,4096,0.05\n")
        base = sqlite3.connect(self.folder / "n.sqlite")
        base.executescript("""
          CREATE TABLE StringIds (id INTEGER, value TEXT);
          CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start INTEGER, end INTEGER, deviceId INTEGER, streamId INTEGER,
            correlationId INTEGER, demangledName INTEGER);
          CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME (start INTEGER, end INTEGER, globalTid INTEGER, correlationId INTEGER);
          CREATE TABLE NVTX_EVENTS (start INTEGER, end INTEGER, text TEXT, textId INTEGER, globalTid INTEGER);
          INSERT INTO StringIds VALUES (1, 'sm90_xmma_gemm_bf16bf16_bf16f32');
          INSERT INTO NVTX_EVENTS VALUES (0, 100, 'aten::mm, seq = 1, sizes = [[64, 4096], [4096, 4096]]', NULL, 5);
          INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES (50, 60, 5, 1);
          INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (1000, 501000, 0, 7, 1, 1);""")
        base.close()
        answer = self.run_it("calibrate", "all_reduce.txt", "gemm.vllm-0.19.0.csv", "n.sqlite", "--gpu", "h100-sxm",
                             "--out", "mine.h5", "--rows", "rows", "--json")
        self.assertEqual(answer.code, 0, answer.err)
        self.assertEqual(answer.json()["rows"], 4)
        self.assertEqual(sorted(p.name for p in (self.folder / "rows" / "h100_sxm").iterdir()),
                         ["gemm.vllm-0.19.0.csv", "nccl.nccl-2.27.3.csv"])
        # The product is said to take 50 us where a good one takes some 25 us.
        before, after = self.decode_ms("h100-x1"), self.decode_ms("h100-x1", "mine.h5")
        qkv = [[op for op in step["operators"] if op["name"] == "qkv_proj"][0] for step in (before, after)]
        self.assertGreater(qkv[1]["ms"], 1.3 * qkv[0]["ms"])

    def test_a_gpu_without_tables_is_measured_under_its_name(self):
        self.write("t.json", trace([(m, 6144, 4096, 500) for m in (1, 16, 64, 256)]))
        answer = self.run_it("calibrate", "t.json", "--gpu", "h20", "--out", "mine.h5")
        self.assertEqual(answer.code, 0, answer.err)
        before, after = self.decode_ms("hgx-h20"), self.decode_ms("hgx-h20", "mine.h5")
        ms = [[op for op in step["operators"] if op["name"] == "qkv_proj"][0]["ms"] for step in (before, after)]
        self.assertGreater(ms[1], 2 * ms[0])
        wrong = self.run_it("estimate", self.scenario("h100-x1"), "--set", "calibration=mine.h5")
        self.expect(wrong, 3, "no measurement of h100_sxm")

    def test_bad_files_are_told_and_the_others_used(self):
        self.write("good.txt", NCCL)
        self.write("cut.json", trace([(64, 6144, 4096, 10)])[:300])
        with gzip.open(self.folder / "whole.json.gz", "wt") as file:
            file.write(trace([(64, 6144, 4096, 10)] * 200))
        (self.folder / "half.json.gz").write_bytes((self.folder / "whole.json.gz").read_bytes()[:200])
        answer = self.run_it("calibrate", "good.txt", "cut.json", "half.json.gz", "none.json", "--gpu", "h100-sxm",
                             "--out", "mine.h5")
        self.expect(answer, 3, "cut.json: no complete JSON", "half.json.gz: the compressed file is damaged or cut short",
                    "none.json: no such file")
        self.assertTrue((self.folder / "mine.h5").exists())

    def test_bad_rows(self):
        good = "gemm,own,bfloat16,64,6144,4096,0.012\n"
        for rows, code, words in (
                ("gemm,own,bfloat16,64,6144,4096,nan\n", 3, ":3:", ),
                ("gemm,own,bfloat16,64,6144,4096,0\n", 3, "not a positive number"),
                ("gemm,own,bfloat16,0,6144,4096,0.012\n", 3, "below 1 or beyond 2^31"),
                ("gemm,own,bfloat16,3000000000,6144,4096,0.012\n", 3, "below 1 or beyond 2^31"),
                ("gemm,own,bfloat16,64,6144,4096,0.050\n", 0, "disagree by more than 2x")):
            with self.subTest(rows):
                self.write("gemm.vllm-0.19.0.csv", GEMM + good + rows)
                answer = self.run_it("calibrate", "gemm.vllm-0.19.0.csv", "--gpu", "h100-sxm", "--out", "mine.h5")
                self.expect(answer, code, words)
                self.assertTrue((self.folder / "mine.h5").exists())
        # Above a physical peak: 4096^3 in a microsecond.
        self.write("gemm.vllm-0.19.0.csv", GEMM + good + "gemm,own,bfloat16,4096,4096,4096,0.001\n")
        answer = self.run_it("calibrate", "gemm.vllm-0.19.0.csv", "--gpu", "h100-sxm", "--out", "mine.h5")
        self.assertIn("set aside: 1 rows", answer.out)
        self.write("gemm.vllm-0.19.0.csv", "op_name,gemm_dtype,m,n,latency\ngemm,bfloat16,64,6144,0.1\n")
        answer = self.run_it("calibrate", "gemm.vllm-0.19.0.csv", "--gpu", "h100-sxm", "--out", "none.h5")
        self.expect(answer, 3, "column 'k' is missing", "holds no usable")
        self.assertFalse((self.folder / "none.h5").exists())

    def test_wrong_use(self):
        self.write("good.txt", NCCL)
        self.expect(self.run_it("calibrate", "good.txt"), 2, "--out")
        self.expect(self.run_it("calibrate", "good.txt", "--out", "x.h5", "--engine", "vllm"), 2, "NAME-VERSION")
        self.expect(self.run_it("calibrate", "good.txt", "--out", "x.h5", "--gpu", "h100"), 3, "h100-sxm")
        scenario = self.scenario("h100-x1")
        self.expect(self.run_it("estimate", scenario, "--set", "calibration=none.h5"), 3, "none.h5")
        self.write("damaged.h5", "no HDF5")
        self.expect(self.run_it("estimate", scenario, "--set", "calibration=damaged.h5"), 3, "damaged.h5")

    def test_the_same_files_give_the_same_bytes(self):
        self.write("good.txt", NCCL)
        for name in ("a.h5", "b.h5"):
            self.assertEqual(self.run_it("calibrate", "good.txt", "--out", name).code, 0)
        self.assertEqual(*((self.folder / name).read_bytes() for name in ("a.h5", "b.h5")))


if __name__ == "__main__":
    unittest.main()
