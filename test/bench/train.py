"""Times a training step of fashion_dit, batch 64, by ditrun and torch.compile, in
turns.

usage: train.py SECONDS      from the repository's root, after test/bench/run

torch's step has the mean squared error alone for a loss, fused AdamW and a
foreach EMA; ditrun's has the learned-sigma term and the gradients' norm too.
Least of all runs, milliseconds.
"""
import os, subprocess, sys, time
import torch, torch.nn as nn
from dit import Dit

seconds = float(sys.argv[1])
threads = os.cpu_count()
torch.set_num_threads(threads)
binaries, out = "build/release/bin", "build/bench"


def make_step(low):
    torch.manual_seed(0)
    model = Dit(192, 4, 6, 4, 32, 1, 10).train()
    parameters = list(model.parameters())
    for parameter in parameters:
        nn.init.normal_(parameter, std=0.03)
    averages = [parameter.detach().clone() for parameter in parameters]
    compiled = torch.compile(model)
    optimizer = torch.optim.AdamW(parameters, 1e-3, weight_decay=0, fused=True)
    x, noise = torch.randn(64, 1, 32, 32), torch.randn(64, 1, 32, 32)
    t, y = torch.randint(0, 1000, (64,)), torch.arange(64) % 10

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            said = compiled(x, t, y)
        (said.float()[:, :1] - noise).square().mean().backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(averages, [parameter.detach() for parameter in parameters], 1e-2)

    step(), step()
    return step


def time_torch(step, budget):
    best, end = float("inf"), time.perf_counter() + budget
    while time.perf_counter() < end:
        start = time.perf_counter()
        step()
        best = min(best, time.perf_counter() - start)
    return best * 1e3


def time_ditrun(plan, budget):
    text = subprocess.run([f"{binaries}/ditrun", plan, "--bench", str(budget), "--threads", str(threads)],
                          check=True, capture_output=True, text=True).stdout
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith("min")))


for precision in ("fp32", "bf16"):
    plan = f"{out}/train.{precision}.plan"
    subprocess.run([f"{binaries}/ditc", "models/fashion_dit.onnx", "--train", "--batch", "64", "--precision", precision, "-q", "-o", plan], check=True)
    step = make_step(precision == "bf16")
    theirs = ours = float("inf")
    for _ in range(3):
        theirs = min(theirs, time_torch(step, seconds))
        ours = min(ours, time_ditrun(plan, seconds))
    print(f"{precision}: torch.compile {theirs:.1f} ms, ditrun {ours:.1f} ms, {theirs / ours:.2f} times", flush=True)
