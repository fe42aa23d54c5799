"""Times the same models by ditrun, ONNX Runtime and torch.compile, in turns.

usage: peers.py SECONDS      from the repository's root; writes build/bench/
Each figure is the least of all runs in milliseconds. The three take turns of a
fifth of SECONDS, so that a slower minute of the machine meets all of them.
"""
import json, math, os, subprocess, sys, time
import onnxruntime, torch, torch.nn as nn
from dit import Dit

out = "build/bench"
os.makedirs(out, exist_ok=True)
seconds = float(sys.argv[1])
threads = os.cpu_count()
torch.set_num_threads(threads)


def least(run, budget):
    """The least time of one call in milliseconds, within `budget` seconds."""
    best, end = math.inf, time.perf_counter() + budget
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best * 1e3


def ditrun(plan, budget):
    """The least time that `ditrun --bench` reports, in milliseconds."""
    text = subprocess.run(["build/release/bin/ditrun", plan, "--bench", str(budget), "--threads", str(threads)],
                          check=True, capture_output=True, text=True).stdout
    return float(next(line.split()[1] for line in text.splitlines() if line.split()[:1] == ["min"]))


def measure(name, model, batch, size, channels, classes):
    x = torch.randn(batch, channels, size, size)
    t, y = torch.full((batch,), 500), torch.arange(batch) % classes
    path = f"{out}/{name}.onnx"
    torch.onnx.export(model, (x, t, y), path, dynamo=True, external_data=False, opset_version=20,
                      input_names=["x", "t", "y"], output_names=["sample"], verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {"x": x.numpy(), "t": t.numpy(), "y": y.numpy()}
    runs = {"onnxruntime fp32": lambda s: least(lambda: session.run(None, feed), s)}
    for precision in ("fp32", "bf16"):
        plan = f"{out}/{name}.{precision}.plan"
        subprocess.run(["build/release/bin/ditc", path, "--mode", "forward", "--batch", str(batch),
                        "--precision", precision, "-q", "-o", plan], check=True)
        runs[f"ditrun {precision}"] = lambda s, plan=plan: ditrun(plan, s)
        compiled = torch.compile(model, dynamic=False)

        def forward(compiled=compiled, low=precision == "bf16"):
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=low):
                return compiled(x, t, y)

        forward()
        runs[f"torch.compile {precision}"] = lambda s, forward=forward: least(forward, s)
    best = {key: math.inf for key in runs}
    for _ in range(5):
        for key, run in runs.items():
            best[key] = min(best[key], run(seconds / 5))
    peer32 = min(best["onnxruntime fp32"], best["torch.compile fp32"])
    print(f"{name:18} " + "  ".join(f"{key} {value:.2f} ms" for key, value in best.items()) +
          f"  | fp32 {peer32 / best['ditrun fp32']:.2f}x the faster peer, bf16 {best['torch.compile bf16'] / best['ditrun bf16']:.2f}x torch.compile", flush=True)
    return {"name": name, **best}


torch.manual_seed(0)
fashion = Dit(192, 4, 6, 4, 32, 1, 10).eval()
small = Dit(384, 6, 12, 2, 32, 4, 1000).eval()
for parameter in [*fashion.parameters(), *small.parameters()]:
    nn.init.normal_(parameter, std=0.03)
print(f"threads {threads}, torch {torch.__version__}, onnxruntime {onnxruntime.__version__}, {seconds} s each, least of all runs", flush=True)
results = [measure("fashion_dit_b1", fashion, 1, 32, 1, 10), measure("fashion_dit_b16", fashion, 16, 32, 1, 10),
           measure("dit_s2_b2", small, 2, 32, 4, 1000)]
json.dump(results, open(f"{out}/results.json", "w"), indent=1)
