"""A training step of DiT-XL/2 beside torch.compile on one GPU, bf16.

    train-peers.py BIN_FOLDER WORK_FOLDER [BATCHxIMAGE_SIZE...]    default 64x256

torch's step: autocast, the model compiled whole, the mean squared error alone for
a loss, fused AdamW, a foreach EMA. ditrun's has the learned-sigma term and the
gradients' norm too; it runs with the residual stream in fp32 (as torch's) and in
bf16, in case 64x256 also with activations made again so that torch's memory and
parts of it are enough. All run in turns; each figure is the median of all of a program's runs.
Memory: torch's largest sum of allocated tensors; what ditrun's plan allocates.
"""
import json, os, statistics, subprocess, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
import torch, torch.nn as nn
from dit import Dit
from timing import median, time_torch

binaries, work = sys.argv[1], sys.argv[2]
cases = sys.argv[3:] or ["64x256"]
os.makedirs(work, exist_ok=True)
target = "cuda:sm_%d%d" % torch.cuda.get_device_capability()
results = {"device": torch.cuda.get_device_name(), "torch": torch.__version__}


def make_step(batch, size):
    torch.manual_seed(0)
    model = Dit(1152, 16, 28, 2, size, 4, 1000).cuda().train()
    model.position.requires_grad_(False)
    parameters = [p for p in model.parameters() if p.requires_grad]
    for parameter in parameters:
        nn.init.normal_(parameter, std=0.02)
    averages = [parameter.detach().clone() for parameter in parameters]
    compiled = torch.compile(model)
    optimizer = torch.optim.AdamW(parameters, 1e-4, weight_decay=0, fused=True)
    x, noise = (torch.randn(batch, 4, size, size, device="cuda") for _ in range(2))
    t, y = torch.randint(0, 1000, (batch,), device="cuda"), torch.randint(0, 1000, (batch,), device="cuda")

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16):
            said = compiled(x, t, y)
        (said.float()[:, :4] - noise).square().mean().backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(averages, [parameter.detach() for parameter in parameters], 1e-4)

    return step


def call(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{words}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def time_ditrun(plan, seconds):
    """The median's milliseconds, and the whole text."""
    # torch's tensors stay on the device meanwhile, what it keeps for others not.
    torch.cuda.empty_cache()
    text = call(f"{binaries}/ditrun", plan, "--bench", str(seconds))
    return median(text), text


def compile_plan(name, batch, image, *flags):
    """The plan, its bytes, and the seconds that compiling took."""
    plan = f"{work}/{name}.plan"
    start = time.perf_counter()
    call(f"{binaries}/ditc", "dit:DiT-XL/2", "--image-size", str(image), "--train", "--init", "dit:1", "--batch", str(batch),
         "--precision", "bf16", "--target", target, "-q", "-o", plan, *flags)
    seconds = time.perf_counter() - start
    said = call(f"{binaries}/ditrun", "inspect", plan)
    total = next(line for line in said.splitlines() if line.strip().startswith("total"))
    return plan, int(total.split()[1]), seconds


for case in cases:
    batch, image = map(int, case.split("x"))
    step = make_step(batch, image // 8)
    start = time.perf_counter()
    step(); torch.cuda.synchronize()
    first = time.perf_counter() - start
    for _ in range(3):
        step()
    torch.cuda.reset_peak_memory_stats()
    theirs = time_torch(step, 1)
    memory = torch.cuda.max_memory_allocated()
    low = ("--residual", "bf16")
    within = lambda part: ("--recompute", "auto", "--memory", str(int(part * memory)))
    plans = {"fp32": (), "bf16": low}
    if case == "64x256":
        plans |= {"fp32, torch's memory": within(1), "fp32, 85 % of it": within(0.85), "fp32, 60 % of it": within(0.6)}
    made = {name: compile_plan(f"{case}-{i}", batch, image, *flags) for i, (name, flags) in enumerate(plans.items())}
    ours = {name: [] for name in plans}
    for _ in range(2):
        for name in plans:
            ours[name].append(time_ditrun(made[name][0], 1)[0])
        theirs += time_torch(step, 1)
    other = statistics.median(theirs)
    entry = results[case] = {"torch": other, "torch_bytes": memory, "torch_first_call_s": first}
    print(f"batch {batch}, {image} x {image}: torch.compile {other:.1f} ms, {memory / 2**30:.1f} GiB, first call {first:.0f} s", flush=True)
    for name, times in ours.items():
        mine, (_, size, seconds) = statistics.median(times), made[name]
        entry[name] = {"ms": mine, "bytes": size, "compile_s": seconds}
        print(f"  ditrun, {name}: {mine:.1f} ms, {other / mine:.2f} times, {size / 2**30:.1f} GiB ({size / memory * 100:.0f} %), compiled in {seconds:.1f} s", flush=True)
    with open(f"{work}/profile-{case}.txt", "w") as file:
        file.write(time_ditrun(made["fp32"][0], 1)[1])
    del step
    torch._dynamo.reset()
    torch.cuda.empty_cache()
json.dump(results, open(f"{work}/train-peers.json", "w"), indent=1)
