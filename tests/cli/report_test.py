"""foretoken report: one page of several runs, with a plan and the load around it."""
import json
import re
import unittest

from harness import HOME, QUICKSTART, CliTest
from study_test import PLAN, SMALL

DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.S)


class Report(CliTest):
    def setUp(self):
        super().setUp()
        self.write("small.yaml", SMALL)

    def ok(self, *arguments):
        answer = self.run_it(*arguments)
        self.assertEqual(answer.code, 0, answer.err)
        return answer

    def data(self, name="report.html"):
        page = (self.folder / name).read_text()
        self.assertLess(len(page), 1_500_000)
        return json.loads(DATA.search(page).group(1))

    def test_everything_on_one_page(self):
        self.ok("run", "small.yaml", "--out", "a", "--repeats", 3)
        self.ok("run", "small.yaml", "--set", "hardware.node=h100-x1", "--out", "b")
        self.write("plan.json", self.ok("plan", self.write("plan.yaml", PLAN), "--json").out)
        self.ok("report", "a", "b", "--plan", "plan.json", "--load", "--lang", "zh")
        data = self.data()
        self.assertEqual([r["summary"]["deployment"]["node"] for r in data["runs"]], ["a100-80gb-x1", "h100-x1"])
        self.assertIn(["hardware.node", "a100-80gb-x1", "h100-x1"], data["comparisons"][0]["inputs"])
        self.assertTrue(data["plan"]["ranked"])
        self.assertEqual(data["load"], self.ok("capacity", "small.yaml", "--json").json())
        self.assertEqual({s["kind"] for s in data["efficiency"]["steps"]}, {"decode", "prefill"})
        self.assertEqual(data["language"], "zh")
        self.assertEqual(data["summary"]["over_seeds"]["seeds"], 3)
        decode = data["efficiency"]["steps"][0]
        for operator in decode["operators"]:  # nothing beats the roofline
            self.assertLessEqual(operator["roofline_s"], operator["seconds"] * (1 + 1e-9), operator)
        self.assertLess(decode["mfu"], 1)
        again = (self.folder / "report.html").read_bytes()
        self.ok("report", "a", "b", "--plan", "plan.json", "--load", "--lang", "zh")
        self.assertEqual((self.folder / "report.html").read_bytes(), again)

    def test_what_was_checked_goes_along(self):
        self.ok("run", "small.yaml", "--out", "a")
        self.write("cases.json", self.ok("validate", "cases", "--only", "profile-decode", "--json").out)
        self.write("claims.json", self.ok("validate", "claims", "--only", "A1", "--json").out)
        self.ok("report", "a", "--validated", "cases.json", "--validated", "claims.json")
        checked = self.data()["validated"]
        self.assertEqual([c["id"] for c in checked["cases"]], ["profile-decode"])
        self.assertEqual([c["id"] for c in checked["claims"]], ["A1"])
        self.assertNotIn("checks", checked["claims"][0])  # the parts stay where they were
        for text, said in (("{}", "is not what"), ('{"cases": [{"id": "x"}]}', "is not what"), ("nope", "is not what")):
            self.expect(self.run_it("report", "a", "--validated", self.write("bad.json", text)), 3, said)
        self.expect(self.run_it("report", "a", "--validated", "none.json"), 3, "cannot read")

    def test_one_run_whose_scenario_is_gone(self):
        self.ok("run", "small.yaml", "--out", "a")
        (self.folder / "small.yaml").unlink()
        answer = self.ok("report", "a", "--out", "page.html")
        self.assertIn("no section on efficiency", answer.err)
        self.assertNotIn("efficiency", self.data("page.html"))
        self.expect(self.run_it("report", "a", "--load"), 3, "no --load")

    def test_hostile_names_are_escaped(self):
        path = self.write("bad.yaml", SMALL.replace("name: small", "name: '</script><img src=x onerror=alert(1)>'"))
        self.ok("run", path, "--out", "a")
        self.ok("report", "a")
        page = (self.folder / "report.html").read_text()
        self.assertNotIn("<img", page)
        self.assertEqual(page.count("<script"), 3)

    def test_bad_input(self):
        self.ok("run", "small.yaml", "--out", "a")
        self.expect(self.run_it("report"), 2, "usage")
        self.expect(self.run_it("report", "none"), 3, "not the folder of a run")
        self.expect(self.run_it("report", "a", "--plan", "small.yaml"), 3, "plan --json")
        self.expect(self.run_it("report", "a", "--plan", "none.json"), 3, "cannot read")
        self.expect(self.run_it("report", "a", "--lang", "fr"), 2, "en, zh")
        (self.folder / "a" / "report.html").write_text("<html></html>")
        self.expect(self.run_it("report", "a"), 3, "carries no data")
        self.ok("run", HOME / "scenarios" / "training" / "65b-8xa100-nodes.yaml", "--out", "t")
        self.expect(self.run_it("report", "t"), 3, "training")
        self.assertFalse((self.folder / "report.html").exists())


class Repeats(CliTest):
    def test_intervals_over_seeds(self):
        self.write("small.yaml", SMALL)
        answer = self.run_it("run", "small.yaml", "--repeats", 4, "--json", "--no-files")
        self.assertEqual(answer.code, 0, answer.err)
        over = answer.json()["over_seeds"]
        values = [self.run_it("run", "small.yaml", "--seed", s, "--json", "--no-files").json()["p99_ttft_ms"] for s in (1, 2, 3, 4)]
        mean = sum(values) / 4
        half = 3.182446 * (sum((v - mean) ** 2 for v in values) / 3 / 4) ** 0.5  # t of 3 degrees of freedom
        self.assertAlmostEqual(over["metrics"]["p99_ttft_ms"]["mean"], mean, places=9)
        self.assertAlmostEqual(over["metrics"]["p99_ttft_ms"]["high"], mean + half, delta=1e-5 * half)
        self.assertEqual(answer.json()["p99_ttft_ms"], values[0])
        words = self.run_it("run", "small.yaml", "--repeats", 4, "--no-files").out
        self.assertIn("4 seeds", words)
        self.assertIn("the SLO is met with 4 of 4 seeds", words)


if __name__ == "__main__":
    unittest.main()
