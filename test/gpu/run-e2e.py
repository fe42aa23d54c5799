"""Runs the end-to-end tests on a GPU: the RUN lines of lit files, where every
ditc compiles for TARGET, at fp32 unless the line says otherwise.

    run-e2e.py TARGET BIN_FOLDER FILE.test...
"""
import os, pathlib, shlex, subprocess, sys, tempfile

target, binaries, files = sys.argv[1], sys.argv[2], sys.argv[3:]
root = pathlib.Path(__file__).resolve().parents[2]
folders = {
    "%src_root": str(root),
    "%fixtures": str(root / "test" / "fixtures"),
    "%models": str(root / "models"),
}


def expand(line, work):
    for name, value in folders.items():
        line = line.replace(name, value)
    words = shlex.split(line.replace("%t", work))
    at = 1 if words[0] == "not" else 0
    tool = words[at]
    if tool in ("ditc", "ditrun"):
        words[at] = os.path.join(binaries, tool)
    if tool == "ditc":
        words += ["--target", target]
        if "--precision" not in words:
            words += ["--precision", "fp32"]
    return at == 1, words[at:]


def run(path, work):
    """What went wrong, or ''."""
    for line in path.read_text().splitlines():
        if not line.startswith("RUN: "):
            continue
        fails, words = expand(line[5:], work)
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for said in done.stdout.splitlines():
            if "difference" in said:
                print(f"  {path.stem}: {said.strip()}")
        if (done.returncode != 0) != fails:
            return f"exit code {done.returncode}: {shlex.join(words)}\n{done.stdout}"
    return ""


failed = 0
with tempfile.TemporaryDirectory() as folder:
    for file in files:
        path = pathlib.Path(file)
        trouble = run(path, os.path.join(folder, path.stem))
        failed += bool(trouble)
        print(f"{'FAIL' if trouble else 'PASS'}: {path.name}", trouble, flush=True)
print(f"{len(files) - failed} of {len(files)} end-to-end tests passed")
sys.exit(failed != 0)
