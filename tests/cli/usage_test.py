"""Help, version, and wrong use of the command line."""
import unittest

from harness import HOME, QUICKSTART, CliTest


class Help(CliTest):
    def test_overview_fits_a_screen(self):
        answer = self.run_it("--help")
        self.assertEqual(answer.code, 0)
        self.assertLessEqual(len(answer.out.splitlines()), 40)
        for command in ("run", "check", "list", "schema", "bench", "calibrate", "validate", "estimate"):
            self.assertRegex(answer.out, rf"(?m)^  {command} ")
        self.assertIn("examples:", answer.out)

    def test_every_command_has_a_page(self):
        for command in ("run", "check", "list", "schema", "bench", "calibrate", "validate", "estimate", "help"):
            for arguments in ((command, "--help"), ("help", command)):
                answer = self.run_it(*arguments)
                self.assertEqual((answer.code, answer.err), (0, ""), arguments)
                self.assertTrue(answer.out.startswith(f"usage: foretoken {command}"), answer.out)

    def test_run_shows_defaults(self):
        page = self.run_it("run", "--help").out
        for option in ("--out", "--json", "--set", "--seed", "--threads", "--executor", "--require", "--time-limit",
                       "--mem-limit", "--progress"):
            self.assertIn(option, page)
        self.assertIn("(=auto)", page)

    def test_topics(self):
        self.assertIn("KiB", self.run_it("help", "units").out)
        self.assertIn("TTFT", self.run_it("help", "metrics").out)
        self.assertIn("130", self.run_it("help", "exit-codes").out)

    def test_version(self):
        answer = self.run_it("--version")
        self.assertEqual(answer.code, 0)
        self.assertRegex(answer.out, r"^foretoken \d+\.\d+\.\d+ \(.+\)\n$")


class WrongUse(CliTest):
    def test_nothing_said(self):
        answer = self.run_it()
        self.assertEqual(answer.code, 2)
        self.assertIn("usage:", answer.out)

    def test_unknown_command(self):
        self.expect(self.run_it("rnu"), 2, "unknown command 'rnu'", "did you mean 'run'?")

    def test_unknown_option(self):
        self.expect(self.run_it("run", QUICKSTART, "--thread", "2"), 2, "unknown option '--thread'",
                    "did you mean '--threads'?")

    def test_missing_and_surplus_arguments(self):
        self.expect(self.run_it("run"), 2, "usage: foretoken run")
        self.expect(self.run_it("run", "a.yaml", "b.yaml"), 2, "'b.yaml' is one argument too many")
        self.expect(self.run_it("list"), 2, "usage: foretoken list")
        self.expect(self.run_it("list", "modles"), 2, "did you mean 'models'?")

    def test_bad_values(self):
        for arguments, words in (
            (("--threads", "0"), "--threads 0"),
            (("--threads", "many"), "many"),
            (("--seed", "x"), "seed"),
            (("--executor", "serail"), "did you mean 'serial'?"),
            (("--time-limit", "30"), "--time-limit 30"),
            (("--mem-limit", "2GB/s"), "--mem-limit 2GB/s"),
            (("--mem-limit", "0GB"), "above zero"),
            (("--progress", "always"), "--progress always"),
            (("--set", "deployment.replicas"), "PATH=VALUE"),
            (("--out", "x", "--no-files"), "exclude each other"),
        ):
            self.expect(self.run_it("run", QUICKSTART, *arguments), 2, words)
        self.assertEqual(self.files(), [])

    def test_wrong_home(self):
        answer = self.run_it("list", "models", env={"FORETOKEN_HOME": str(self.folder)})
        self.expect(answer, 3, "FORETOKEN_HOME", str(self.folder))


class Catalogue(CliTest):
    def test_lists(self):
        for kind, expected in (("models", "deepseek-r1"), ("hardware", "hgx-h200"), ("engines", "sglang"),
                               ("policies", "chunked_prefill"), ("workloads", "azure-llm-2023-conv")):
            answer = self.run_it("list", kind)
            self.assertEqual((answer.code, answer.err), (0, ""))
            self.assertIn(expected, answer.out)
            names = [entry["name"] for entry in self.run_it("list", kind, "--json").json()]
            self.assertEqual(len(names), len(answer.out.splitlines()))

    def test_schema_accepts_the_shape_of_the_catalogue(self):
        schema = self.run_it("schema").json()
        self.assertIn("$schema", schema)
        self.assertIn("deployment", schema["properties"])

    def test_check_says_ok_on_every_scenario(self):
        scenarios = sorted((HOME / "scenarios").glob("*.yaml"))
        self.assertGreaterEqual(len(scenarios), 3)
        answer = self.run_it("check", *scenarios)
        self.assertEqual(answer.code, 0, answer.err)
        self.assertEqual(len(answer.out.splitlines()), len(scenarios))
        for line in answer.out.splitlines():
            self.assertIn(": ok: ", line)


if __name__ == "__main__":
    unittest.main()
