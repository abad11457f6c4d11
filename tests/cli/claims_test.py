"""Money, power and the claims of two articles from the command line: answers, exit codes, bad input."""
import json
import re
import unittest

from harness import HOME, CliTest

MONEY = """\
foretoken: 1
name: eight cards
service: {nodes: 1, gpus_per_node: 8, node_power: 5kW, requests_per_day: 1000, input_tokens: 10, output_tokens: 10}
cost: {currency: CNY, electricity: 0.8CNY/kWh, node_price: 1000000CNY, horizon: 3y}
"""


class Cost(CliTest):
    def test_deepseeks_day_is_reproduced_from_its_inputs(self):
        answer = self.run_it("cost", HOME / "scenarios/deepseek/income.yaml", "--json")
        self.expect(answer, 0)
        result = answer.json()
        ledgers = {ledger["way"]: ledger for ledger in result["ledgers"]}
        self.assertEqual(ledgers["rent as given"]["total"], 87072.00)  # 226.75 x 8 x 24 h x 2 USD
        self.assertEqual(ledgers["api"]["total"], 562100.00)  # published from unrounded counts: 562,027
        self.assertAlmostEqual(result["margin_pct"], 545, delta=1)

    def test_a_ledger_adds_up_and_names_its_parts(self):
        answer = self.run_it("cost", self.write("money.yaml", MONEY), "--json")
        self.expect(answer, 0)
        own = answer.json()["ledgers"][0]
        # 1,000,000 + 5 kW x 26,280 h x 0.8 = 105,120.
        self.assertEqual(own["total"], 1105120.00)
        self.assertEqual(own["total"], round(sum(entry["amount"] for entry in own["entries"]), 2))
        self.assertEqual(own["per_request"]["denominator"], 1000 * 365 * 3)

    def test_bad_money_is_refused_with_its_place(self):
        for old, new, said in (
                ("node_price: 1000000CNY", "node_price: -5CNY", "must be greater than 0"),
                ("horizon: 3y", "pue: 0.5", "at least 1"),
                ("horizon: 3y", "cache_hit: 120%", "at most 1"),
                ("horizon: 3y", "prices: nope", "no card 'nope'"),
                ("horizon: 3y", "api: gpt", "no interface 'gpt'"),
                ("requests_per_day: 1000", "requests_per_day: -1", "must not be negative"),
                ("node_price: 1000000CNY, ", "", "neither a purchase price")):
            with self.subTest(new=new):
                answer = self.run_it("cost", self.write("bad.yaml", MONEY.replace(old, new)))
                self.expect(answer, 3)
                self.assertIn(said, answer.err)
        path = self.write("money.yaml", MONEY)
        crowded = self.run_it("cost", path, "--node-capacity", "500")
        self.expect(crowded, 3)
        self.assertIn("utilisation of 2", crowded.err)
        self.expect(self.run_it("cost", path, "--max-total", "1000"), 5)

    def test_currencies_need_a_rate(self):
        self.write("mine.yaml", "card: prices\nname: mine\nsummary: no rate\nelectricity:\n"
                   "  flat: {price: 0.8CNY/kWh, source: t, date: 2025-11, valid_until: 2099-12}\n")
        path = self.write("money.yaml", MONEY.replace("horizon: 3y", "prices: ./mine.yaml")
                          .replace("1000000CNY", "1000000USD"))
        answer = self.run_it("cost", path)
        self.expect(answer, 3)
        self.assertIn("no exchange rate", answer.err)

    def test_a_stale_price_is_a_warning_with_its_date(self):
        path = self.write("money.yaml", MONEY.replace("horizon: 3y", "api: deepseek-r1"))
        answer = self.run_it("cost", path)
        self.expect(answer, 0)
        self.assertIn("good until 2025-09-05", answer.err)


class Claims(CliTest):
    def test_all_33_have_a_verdict_and_a_reason(self):
        answer = self.run_it("validate", "claims", "--json", "--html", "claims.html")
        self.expect(answer, 0)
        claims = answer.json()["claims"]
        self.assertEqual([c["id"] for c in claims],
                         [f"A{i}" for i in range(1, 19)] + [f"B{i}" for i in range(1, 16)])
        known = re.compile(r"holds|off by [\d.]+ x|impossible|contradicts itself|not testable here")
        for claim in claims:
            with self.subTest(claim=claim["id"]):
                self.assertRegex(claim["verdict"], known)
                self.assertTrue(claim["why"] and claim["why_zh"])
                self.assertNotRegex(claim["why"], r"nan|inf\b|[{}]")
                if claim["verdict"] != "not testable here":
                    self.assertIsNotNone(claim["predicted"])
        self.assertLessEqual(sum(c["verdict"] == "not testable here" for c in claims), 6)
        page = (self.folder / "claims.html").read_text(encoding="utf-8")
        self.assertNotIn("<script", page)
        for claim in claims:
            self.assertIn(f'id="{claim["id"]}"', page)

    def test_both_languages_and_an_unknown_claim(self):
        self.assertIn("FP16", self.run_it("validate", "claims", "--only", "A1", "--language", "zh").out)
        answer = self.run_it("validate", "claims", "--only", "Z9")
        self.expect(answer, 3)
        self.assertIn("no claim 'Z9'", answer.err)


class Power(CliTest):
    def test_watts_hold_with_groups_left_out(self):
        answer = self.run_it("validate", "power", "--json")
        self.expect(answer, 0)
        metrics = answer.json()["metrics"]
        self.assertLess(metrics["watts"]["mape"], 15)
        self.assertLess(metrics["watts"]["median_ape"], 12)
        self.assertLess(metrics["joules_per_token"]["mape"], 20)

    def test_rows_of_another_shape_are_refused(self):
        answer = self.run_it("validate", "power", "--data", self.write("x.csv", "model,accelerator\nm,h100\n"))
        self.expect(answer, 3)
        self.assertIn("no column", answer.err)

    def test_a_cap_lies_between_idle_and_the_limit(self):
        answer = self.run_it("run", HOME / "scenarios/quickstart.yaml", "--set", "hardware.power_limit=900W")
        self.expect(answer, 3)
        self.assertIn("never draws more than 700 W", answer.err)


if __name__ == "__main__":
    unittest.main()
