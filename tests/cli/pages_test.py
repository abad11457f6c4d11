"""Completion, the manual page and doctor: made from the pages of the commands, so never behind them."""
import os
import re
import shutil
import subprocess
import unittest

from harness import BINARY, HOME, CliTest


class Pages(CliTest):
    def commands(self):
        return re.findall(r"(?m)^  ([a-z]+) ", self.run_it("--help").out.split("examples:")[0])

    def options(self, *command):
        return set(re.findall(r"--[a-z-]+", self.run_it(*command, "--help").out.split("options:")[1].split("examples:")[0])) - {"--help"}


class Completion(Pages):
    def complete(self, *words):
        script = self.run_it("completion", "bash").out
        line = " ".join(f"'{w}'" for w in ("foretoken", *words))
        process = subprocess.run(
            ["bash", "-c", f"{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words)}; _foretoken; printf '%s\\n' \"${{COMPREPLY[@]}}\""],
            capture_output=True, text=True, cwd=self.folder)
        self.assertEqual((process.returncode, process.stderr), (0, ""))
        return set(process.stdout.split())

    def test_bash_offers_commands_options_and_words(self):
        offered = self.complete("")
        self.assertTrue(set(self.commands()) <= offered, set(self.commands()) - offered)
        self.assertEqual(self.complete("ex") , {"export", "explain"})
        self.assertTrue(self.options("run") <= self.complete("run", "--"))
        self.assertTrue(self.options("validate", "kernels") <= self.complete("validate", "kernels", "--"))
        self.assertIn("kernels", self.complete("validate", ""))
        self.assertEqual(self.complete("export", "x", "--to", "v"), {"vllm-json"})
        self.write("a.yaml", "")
        self.assertIn("a.yaml", self.complete("run", "a"))

    def test_zsh_and_fish_know_every_option(self):
        for shell, option in (("zsh", "--{}["), ("fish", "-l {} ")):
            script = self.run_it("completion", shell).out
            for command in ("run", "plan", "sweep", "serve", "report"):
                self.assertIn(command, script)
                for name in self.options(command):
                    self.assertIn(option.format(name[2:]), script)
            if shutil.which(shell):
                path = self.write(f"completion.{shell}", script)
                process = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True)
                self.assertEqual((process.returncode, process.stderr), (0, ""))

    def test_another_shell(self):
        self.expect(self.run_it("completion", "fissh"), 2, "did you mean 'fish'")


class Manual(Pages):
    def test_every_command_and_option_is_in_it(self):
        page = self.run_it("help", "--man")
        self.assertEqual((page.code, page.err), (0, ""))
        plain = page.out.replace("\\-", "-").replace("\\fB", "").replace("\\fR", "").replace("\\fI", "")
        for command in self.commands():
            self.assertIn(f".SS foretoken {command}", plain)
        for command in ("run", "plan", "validate kernels", "serve"):
            for option in self.options(*command.split()):
                self.assertIn(option, plain)
        self.assertIn("130", plain)

    def test_no_formatter_complains(self):
        formatter = shutil.which("groff") or shutil.which("mandoc")
        if not formatter:
            self.skipTest("neither groff nor mandoc")
        path = self.write("foretoken.1", self.run_it("help", "--man").out)
        arguments = ["-man", "-ww", "-Tutf8", "-z"] if formatter.endswith("groff") else ["-T", "lint", "-W", "error"]
        process = subprocess.run([formatter, *arguments, str(path)], capture_output=True, text=True)
        self.assertEqual((process.returncode, process.stderr), (0, ""))


class Doctor(CliTest):
    def test_well(self):
        answer = self.run_it("doctor")
        self.assertEqual(answer.code, 0, answer.out)
        for word in ("catalogue", "calibration", "a run", "cores"):
            self.assertIn(word, answer.out)
        self.assertNotIn("BAD", answer.out)
        self.assertEqual(self.files(), [])
        states = {f["state"] for f in self.run_it("doctor", "--json").json()}
        self.assertTrue(states <= {"ok", "note"}, states)

    def test_a_damaged_calibration_and_a_folder_that_cannot_be_written(self):
        home = self.folder / "home"
        shutil.copytree(HOME / "scenarios", home / "scenarios", ignore=shutil.ignore_patterns("loader"))
        (home / "validation" / "calibrate").mkdir(parents=True)
        (home / "validation" / "calibrate" / "calibration.h5").write_bytes(b"not HDF5")
        answer = self.run_it("doctor", env={"FORETOKEN_HOME": str(home)})
        self.assertEqual(answer.code, 3, answer.out)
        self.assertRegex(answer.out, r"BAD\s+calibration")


class Installed(CliTest):
    def test_installs_and_runs_from_there(self):
        build = os.environ["FORETOKEN_BUILD"]
        place = self.folder / "place"
        process = subprocess.run(["cmake", "--install", build, "--prefix", str(place)], capture_output=True, text=True)
        self.assertEqual(process.returncode, 0, process.stderr)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("FORETOKEN")}
        doctor = subprocess.run([str(place / "bin" / "foretoken"), "doctor"], capture_output=True, text=True,
                                env=environment, cwd=self.folder)
        self.assertEqual(doctor.returncode, 0, doctor.stdout + doctor.stderr)
        self.assertIn(str(place), doctor.stdout)
        for page in ("share/man/man1/foretoken.1", "share/bash-completion/completions/foretoken"):
            self.assertGreater((place / page).stat().st_size, 1000)


if __name__ == "__main__":
    unittest.main()
