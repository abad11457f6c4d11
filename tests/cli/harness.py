"""Runs the built binary as a user would. FORETOKEN_BINARY and FORETOKEN_HOME come from ctest."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

BINARY = os.environ["FORETOKEN_BINARY"]
HOME = pathlib.Path(os.environ["FORETOKEN_HOME"])
QUICKSTART = HOME / "scenarios" / "quickstart.yaml"


class Answer:
    def __init__(self, process):
        self.code, self.out, self.err = process.returncode, process.stdout, process.stderr

    def json(self):
        return json.loads(self.out)


class CliTest(unittest.TestCase):
    """Each test gets an empty folder, which is the current one."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="foretoken-cli-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def run_it(self, *arguments, cwd=None, env=None, timeout=120):
        process = subprocess.run([BINARY, *map(str, arguments)], cwd=cwd or self.folder, timeout=timeout,
                                 capture_output=True, text=True, env={**os.environ, **(env or {})})
        return Answer(process)

    def expect(self, answer, code, *words):
        """Exit code, and every word somewhere on stderr; nothing on stdout when it failed early."""
        self.assertEqual(answer.code, code, f"stdout:\n{answer.out}\nstderr:\n{answer.err}")
        for word in words:
            self.assertIn(word, answer.err)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def variant(self, *replacements, source=QUICKSTART, name="variant.yaml"):
        """A copy of a scenario with (old, new) replaced, each of which must be there."""
        text = source.read_text()
        for old, new in replacements:
            self.assertIn(old, text)
            text = text.replace(old, new, 1)
        return self.write(name, text)

    def files(self):
        return sorted(str(p.relative_to(self.folder)) for p in self.folder.rglob("*"))
