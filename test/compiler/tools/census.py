"""Compares the ops of models after the precision and the fusion phase.

usage: census.py DITC PRECISION MODEL...      exit 1 where two models differ
"""
import collections, re, subprocess, sys

ditc, precision, models = sys.argv[1], sys.argv[2], sys.argv[3:]


def census(model, phase):
    text = subprocess.run([ditc, model, "--mode", "forward", "--batch", "2", "--precision", precision, "--compile-to", phase],
                          check=True, capture_output=True, text=True).stdout
    # Op names, at the start of a line or behind its results.
    ops = re.findall(r'^ *(?:[%\w:, ]+ = )?([a-z_]+\.[a-z_]+)', text, re.M)
    return collections.Counter(op for op in ops if not op.startswith(("dit.global", "func.", "arith.constant")))


failed = False
for phase in ("precision", "fusion"):
    counts = {model: census(model, phase) for model in models}
    first = counts[models[0]]
    for model, count in counts.items():
        if count != first:
            failed = True
            print(f"{phase}: {model} differs from {models[0]}: {dict(count - first)} more, {dict(first - count)} less")
    if phase == "precision":
        for op in ("dit.attention", "dit.layer_norm", "dit.softmax"):
            print(f"precision {op} {first[op]}")
        print("precision index arithmetic", sum(n for op, n in first.items() if op in ("arith.addi", "arith.muli", "arith.divsi")))
print("they differ" if failed else "the same census")
sys.exit(failed)
