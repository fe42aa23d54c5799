"""Runs a command that must end with an exit code; both its streams go to stdout: expect_exit.py CODE COMMAND..."""
import subprocess, sys

code = subprocess.run(sys.argv[2:], stderr=subprocess.STDOUT).returncode
if code != int(sys.argv[1]):
    sys.exit(f"exit code {code}, expected {sys.argv[1]}")
