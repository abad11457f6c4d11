"""foretoken serve: what the page gives, and what it refuses."""
import http.client
import json
import os
import signal
import socket
import subprocess
import time
import unittest
import urllib.parse

from harness import BINARY, HOME, QUICKSTART, CliTest


class ServeTest(CliTest):
    arguments = ()

    def setUp(self):
        super().setUp()
        self.scenario = self.variant(("duration: 1h", "duration: 2min"), name="small.yaml")
        (self.folder / "sub").mkdir()
        self.run_it("run", self.scenario, "--out", "sub/run")
        (self.folder.parent / f"{self.folder.name}-outside.yaml").write_text("secret")
        self.addCleanup((self.folder.parent / f"{self.folder.name}-outside.yaml").unlink)
        self.process = subprocess.Popen([BINARY, "serve", str(self.folder), "--json", *self.arguments], cwd=self.folder,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.stop)
        self.address = json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=30)
        self.assertEqual((self.process.returncode, err), (0, ""))

    def ask(self, url, method="GET", body=None, token=True, host=None, headers=None, **parameters):
        connection = http.client.HTTPConnection("127.0.0.1", self.address["port"], timeout=30)
        given = dict(headers or {})
        if token:
            given["X-Foretoken-Token"] = self.address["token"] if token is True else token
        if host:
            given["Host"] = host
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        connection.request(method, url + query, body, given)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        self.assertIn("/json", response.headers.get("Content-Type", "")) if url.startswith("/api") else None
        return response.status, json.loads(data) if url.startswith("/api") else data.decode(), response.headers


class Reading(ServeTest):
    def test_page_runs_and_reports(self):
        status, page, headers = self.ask("/")
        self.assertEqual(status, 200)
        self.assertIn("default-src 'none'", page)
        status, runs, _ = self.ask("/api/v1/runs")
        self.assertEqual([r["path"] for r in runs["runs"]], ["sub/run"])
        self.assertIn("SLO", runs["runs"][0]["verdict"])
        status, report, headers = self.ask("/report", run="sub/run")
        self.assertEqual(report, (self.folder / "sub" / "run" / "report.html").read_text())
        self.assertEqual(headers["Cache-Control"], "no-store")

    def test_token_in_the_address_works_too(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.address["port"], timeout=30)
        connection.request("GET", f"/?token={self.address['token']}")
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()

    def test_without_the_token_there_is_nothing(self):
        wrong = self.address["token"][:-1] + ("0" if self.address["token"][-1] != "0" else "1")
        for token in (None, "", wrong, self.address["token"] + "0"):
            for path in ("/", "/api/v1/runs", "/api/v1/scenario", "/report", "/api/v1/events"):
                status, body, _ = self.ask(path, token=token)
                self.assertEqual(status, 403, (path, token))
                self.assertNotIn("small", str(body))

    def test_another_sites_name_gets_nothing(self):
        self.assertEqual(self.ask("/api/v1/runs", host="evil.example")[0], 403)
        self.assertEqual(self.ask("/api/v1/runs", host=f"localhost:{self.address['port']}")[0], 200)

    def test_listens_on_this_machine_only(self):
        own = socket.gethostbyname(socket.gethostname())
        if own.startswith("127."):
            self.skipTest("no other address to try")
        with self.assertRaises(OSError):
            socket.create_connection((own, self.address["port"]), timeout=3).close()

    def test_paths_do_not_leave_the_folder(self):
        outside = f"../{self.folder.name}-outside.yaml"
        for path in (outside, "sub/../" + outside, "/etc/passwd", f"{self.folder}-outside.yaml", "%2e%2e/x", ""):
            self.assertEqual(self.ask("/api/v1/scenario", path=path)[0], 404, path)
            self.assertEqual(self.ask("/report", run=path)[0], 404, path)
            self.assertEqual(self.ask("/api/v1/check", "POST", "x", path=path)[0], 404, path)
        self.assertEqual(self.ask("/api/v1/scenario", path="sub/run/summary.json")[0], 404)
        self.assertEqual(self.ask("/api/v1/../../../etc/passwd")[0], 404)

    def test_check_gives_every_problem_with_its_place(self):
        text = self.scenario.read_text().replace("replicas: 1", "replica: 1").replace("duration: 2min", "duration: 120")
        status, body, _ = self.ask("/api/v1/check", "POST", text, path="small.yaml")
        self.assertEqual(status, 422)
        self.assertGreaterEqual(len(body["diagnostics"]), 2)
        for problem in body["diagnostics"]:
            self.assertGreater(problem["line"], 0)
            self.assertIn("^", problem["text"])
            self.assertTrue(problem["text"].startswith("small.yaml:"), problem["text"])
        status, body, _ = self.ask("/api/v1/check", "POST", self.scenario.read_text(), path="small.yaml")
        self.assertEqual((status, body["name"]), (200, "DeepSeek-R1 on one HGX H200 node"))

    def test_read_only(self):
        before = self.files()
        for method, path in (("PUT", "/api/v1/scenario"), ("POST", "/api/v1/run"), ("POST", "/api/v1/interrupt")):
            status, body, _ = self.ask(path, method, "x", path="small.yaml")
            self.assertEqual(status, 403)
            self.assertIn("--allow-run", body["error"])
        self.assertEqual(self.files(), before)

    def test_too_large_a_body(self):
        try:
            status = self.ask("/api/v1/check", "POST", b"x" * (3 << 20), path="small.yaml")[0]
        except (BrokenPipeError, ConnectionResetError):
            status = 413  # refused before it was sent whole
        self.assertEqual(status, 413)
        self.assertEqual(self.ask("/api/v1/runs")[0], 200)

    def test_unknown_addresses_and_nonsense(self):
        self.assertEqual(self.ask("/api/v1/nothing")[0], 404)
        self.assertEqual(self.ask("/api/v1/events")[0], 404)
        with socket.create_connection(("127.0.0.1", self.address["port"]), timeout=10) as raw:
            raw.sendall(b"\x00\xff nonsense\r\n\r\n")
            raw.recv(4096)
        self.assertEqual(self.ask("/api/v1/runs")[0], 200)


class Writing(ServeTest):
    arguments = ("--allow-run",)

    def events(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.address["port"], timeout=60)
        connection.request("GET", "/api/v1/events", headers={"X-Foretoken-Token": self.address["token"]})
        response = connection.getresponse()
        self.assertEqual(response.headers["Content-Type"], "text/event-stream")
        text = response.read().decode()
        connection.close()
        return [dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
                for block in text.split("\n\n") if block.strip() and not block.startswith(":")]

    def test_save_and_run(self):
        text = self.scenario.read_text().replace("seed: 1", "seed: 5")
        self.assertEqual(self.ask("/api/v1/scenario", "PUT", text, path="new.yaml")[0], 200)
        self.assertEqual((self.folder / "new.yaml").read_text(), text)
        status, body, _ = self.ask("/api/v1/run", "POST", path="new.yaml")
        self.assertEqual(status, 200, body)
        events = self.events()
        self.assertEqual(events[-1], {"event": "end", "data": '{"exit_code":0}'})
        summary = json.loads((self.folder / body["run"] / "summary.json").read_text())
        self.assertEqual(summary["seed"], 5)
        self.assertIn(body["run"], [r["path"] for r in self.ask("/api/v1/runs")[1]["runs"]])

    def test_progress_and_interrupt(self):
        self.write("long.yaml", QUICKSTART.read_text().replace("replicas: 1", "replicas: 64").replace("nodes: 1", "nodes: 64"))
        self.assertEqual(self.ask("/api/v1/run", "POST", path="long.yaml")[0], 200)
        status, body, _ = self.ask("/api/v1/run", "POST", path="small.yaml")
        ended_already = status == 200
        if not ended_already:
            self.assertEqual(status, 409)
            self.ask("/api/v1/interrupt", "POST")
        self.assertIn(json.loads(self.events()[-1]["data"])["exit_code"], (0, 130))

    def test_what_may_not_be_written(self):
        before = self.files()
        for path in ("../x.yaml", "x.sh", "/tmp/x.yaml", "sub/run/config.resolved.yaml", ".x.yaml"):
            self.assertEqual(self.ask("/api/v1/scenario", "PUT", "x", path=path)[0], 404, path)
        self.assertEqual(self.files(), before)

    def test_a_scenario_with_problems_is_not_run(self):
        self.write("bad.yaml", "foretoken: 1\nmodel: no-such\n")
        status, body, _ = self.ask("/api/v1/run", "POST", path="bad.yaml")
        self.assertEqual(status, 422)
        self.assertTrue(body["diagnostics"])


class Start(CliTest):
    def test_wrong_use(self):
        self.expect(self.run_it("serve", "none"), 3, "is no folder")
        self.expect(self.run_it("serve", "--port", "99999"), 2, "from 0 to 65535")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            self.expect(self.run_it("serve", "--port", taken.getsockname()[1]), 3, "another --port")


if __name__ == "__main__":
    unittest.main()
