"""The CUDA collector compiles and says what it wants; where there is no GPU it says so."""
import os
import pathlib
import subprocess
import tempfile
import unittest

SOURCES = sorted((pathlib.Path(os.environ["FORETOKEN_HOME"]) / "validation" / "collect").glob("*.cu"))


class Collect(unittest.TestCase):
    def test_compiles_and_refuses_wrong_use(self):
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "collect"
            flags = ["-O0", "-std=c++17", "-arch=sm_90", "-DCOLLECT_NO_NCCL", "-Xcompiler", "-Wall,-Wextra,-Werror"]
            built = subprocess.run([os.environ["FORETOKEN_NVCC"], *flags, "-o", program, *SOURCES, "-lcublasLt"],
                                   capture_output=True, text=True)
            self.assertEqual(built.returncode, 0, built.stderr)
            if subprocess.run([program, "--help"], capture_output=True).returncode == 127:
                self.skipTest("the CUDA libraries are not on the loader's path")
            for arguments, code in ((["--help"], 0), ([], 2), (["--gpu", "x", "--wrong"], 2), (["--gpu", "x", "wrong"], 2)):
                run = subprocess.run([program, *arguments], capture_output=True, text=True)
                self.assertEqual(run.returncode, code, run.stderr)
                self.assertIn("usage: collect", run.stdout + run.stderr)


if __name__ == "__main__":
    unittest.main()
