"""A batching policy outside the tree: built against the installed header, run, refused if wrong."""
import os
import subprocess
import unittest

import h5py

from harness import HOME, CliTest

BUILD = os.environ["FORETOKEN_BUILD"]
SCENARIO = """\
foretoken: 1
name: a policy of my own
model: llama-3.1-8b
engine: vllm-0.19.0
hardware: {node: h100-x1}
deployment:
  batching: {policy: POLICY, max_tokens: 2048, max_sequences: 64}
workload:
  arrivals: {poisson: 8/s}
  input: {tokens: 4000, low_fraction: 0.05}
  output: {tokens: 60}
  requests: 200
"""


class Policy(CliTest):
    def shell(self, *command):
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}\n{done.stderr}")

    def install(self):
        self.shell("cmake", "--install", BUILD, "--component", "policy", "--prefix", "prefix")

    def compile(self, name, text):
        source = self.write(name + ".cpp", text)
        self.shell("c++", "-std=c++17", "-shared", "-fPIC", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                   "-Iprefix/include", "-o", f"lib{name}.so", source)

    def scenario(self, policy):
        return self.write("scenario.yaml", SCENARIO.replace("POLICY", policy))

    def test_the_example_builds_outside_the_tree_and_runs(self):
        self.install()
        self.assertEqual(sorted(p.name for p in (self.folder / "prefix").rglob("*") if p.is_file()),
                         ["foretoken-config-version.cmake", "foretoken-config.cmake", "policy.hpp"])
        example = HOME / "models" / "serving" / "example_policy"
        self.shell("cmake", "-S", example, "-B", "build", "-DCMAKE_PREFIX_PATH=" + str(self.folder / "prefix"))
        self.shell("cmake", "--build", "build")
        means = {}
        for policy in ("./build/libshortest_prompt.so", "chunked_prefill"):
            answer = self.run_it("run", self.scenario(policy), "--out", "out", "--json")
            self.expect(answer, 0)
            summary = answer.json()
            self.assertEqual(summary["completed"], 200)
            means[policy] = summary["mean_ttft_ms"]
        self.assertLess(means["./build/libshortest_prompt.so"], 0.95 * means["chunked_prefill"])
        with h5py.File(self.folder / "out" / "run.h5") as h5:  # what a debugging user looks at
            steps = h5["iterations"]
            self.assertEqual(len(steps["waiting"]), len(steps["prefill_sequences"]))
            self.assertGreater(steps["waiting"][:].max(), 0)

    def test_another_interface_version_is_refused(self):
        self.install()
        self.compile("old", 'extern "C" unsigned foretoken_policy_interface() { return 99; }\n')
        self.expect(self.run_it("run", self.scenario("./libold.so")), 3, "scenario.yaml:7:22: error:",
                    "libold.so was built for version 99", "this program has version 1")

    def test_a_library_without_the_symbols_is_refused(self):
        self.install()
        self.compile("other", "int unrelated() { return 1; }\n")
        self.expect(self.run_it("run", self.scenario("./libother.so")), 3,
                    "libother.so has no symbol foretoken_policy_interface", "FORETOKEN_POLICY")

    def test_what_is_no_library_is_refused(self):
        self.write("libtext.so", "this is no library\n")
        self.expect(self.run_it("run", self.scenario("./libtext.so")), 3, "libtext.so cannot be loaded")
        self.expect(self.run_it("check", self.scenario("./libnone.so")), 3, "no such policy library")

    def test_a_policy_that_plans_nothing_ends_with_a_message(self):
        self.install()
        self.compile("lazy", "#include <foretoken/policy.hpp>\n"
                             "struct Lazy : foretoken::policy::Policy {\n"
                             "  explicit Lazy(const foretoken::policy::Limits&) {}\n"
                             "  void plan(foretoken::policy::Engine&) override {}\n"
                             "};\nFORETOKEN_POLICY(Lazy)\n")
        answer = self.run_it("run", self.scenario("./liblazy.so"), "--no-files")
        self.expect(answer, 3, "policy liblazy.so planned no work at", "they would never end")


if __name__ == "__main__":
    unittest.main()
