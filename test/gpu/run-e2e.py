"""Runs the end-to-end tests on a GPU: the RUN lines of lit files, where every
ditc compiles for TARGET, at fp32 unless the line says otherwise. Lines that read
what was printed (FileCheck) are left out: they are about the CPU.

    run-e2e.py TARGET BIN_FOLDER FILE.test...
"""
import os, pathlib, re, subprocess, sys, tempfile

target, binaries, files = sys.argv[1], os.path.abspath(sys.argv[2]), sys.argv[3:]
root = pathlib.Path(__file__).resolve().parents[2]

# What the lines call, and lit has.
tools = f"""set -o pipefail
ditc() {{ case " $* " in *" --precision "*) ;; *) set -- "$@" --precision fp32;; esac; {binaries}/ditc "$@" --target {target}; }}
ditrun() {{ {binaries}/ditrun "$@"; }}
not() {{ if "$@"; then return 1; fi; }}
"""


def read_script(path, work):
    """The RUN lines with every substitution made, those of DEFINE and REDEFINE too."""
    fixed = {"%src_root": str(root), "%fixtures": str(root / "test" / "fixtures"), "%models": str(root / "models"),
             "%python": "python3", "%S": str(path.parent), "%t": work}
    defined, lines, whole = {}, [], ""
    for line in path.read_text().splitlines():
        found = re.match(r"(RUN|DEFINE|REDEFINE):\s*(.*)", line)
        if not found:
            continue
        kind, text = found.groups()
        whole += text.removesuffix("\\")
        if text.endswith("\\"):
            continue
        if kind == "RUN":
            while any(name in whole for name in defined):
                for name, value in defined.items():
                    whole = whole.replace(name, value)
            for name, value in fixed.items():
                whole = whole.replace(name, value)
            if "FileCheck" not in whole:
                lines.append(f"{{ {whole}\n}} || exit 1")
        else:
            name, _, value = whole.partition("=")
            defined[name.strip()] = value.strip()
        whole = ""
    return tools + "\n".join(lines) + "\n"


failed = 0
with tempfile.TemporaryDirectory() as folder:
    for file in files:
        path = pathlib.Path(file).resolve()
        script = read_script(path, os.path.join(folder, path.stem))
        done = subprocess.run(["bash", "-xc", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder)
        for said in done.stdout.splitlines():
            if "difference" in said and not said.startswith("+"):
                print(f"  {path.stem}: {said.strip()}")
        if done.returncode:
            failed += 1
            print(f"FAIL: {path.name} exit code {done.returncode}\n{done.stdout}", flush=True)
        else:
            print(f"PASS: {path.name}", flush=True)
print(f"{len(files) - failed} of {len(files)} end-to-end tests passed")
sys.exit(failed != 0)
