"""DiT-XL/2 at 256 x 256 beside torch.compile on one GPU, with the same weights:
import of a file with external data, outputs, sampling steps, cold start.

    peers.py BIN_FOLDER WORK_FOLDER [PICTURES...]      default 1 8 32

torch's step is compiled whole (DIT_TORCH_MODE, by default reduce-overhead: CUDA
graphs): the model at 2 N in bf16, guidance and the DDIM update, everything on the
GPU. Both run alternately; each figure is the median of all of a program's runs.
"""
import json, os, resource, statistics, subprocess, sys, time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
import numpy as np, torch, torch.nn as nn
from dit import Dit
from timing import median, time_torch

binaries, work = sys.argv[1], sys.argv[2]
counts = [int(word) for word in sys.argv[3:]] or [1, 8, 32]
os.makedirs(work, exist_ok=True)
target = f"cuda:sm_{torch.cuda.get_device_capability()[0]}{torch.cuda.get_device_capability()[1]}"
mode = os.environ.get("DIT_TORCH_MODE", "reduce-overhead")
results = {"device": torch.cuda.get_device_name(), "torch": torch.__version__, "mode": mode}


def say(*words):
    print(*words, flush=True)


def call(*words):
    """Seconds and peak resident bytes of a program, and what it printed."""
    start = time.perf_counter()
    done = subprocess.run(["/usr/bin/env", "python3", "-c", CHILD, *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{words}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    *_, last = done.stderr.rstrip().splitlines()
    seconds, peak = last.split()
    return float(seconds), int(peak) * 1024, done.stdout


# Runs a program as its only child: its peak memory, and its seconds alone.
CHILD = """import resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.run(sys.argv[1:]).returncode
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)"""


def make_model():
    torch.manual_seed(0)
    model = Dit(1152, 16, 28, 2, 32, 4, 1000).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.02)
    return model


def export(model, path):
    x, t, y = torch.randn(2, 4, 32, 32), torch.tensor([500, 20]), torch.tensor([7, 1000])
    batch = torch.export.Dim("batch", min=1, max=1024)
    torch.onnx.export(model, (x, t, y), path, dynamo=True, external_data=True, opset_version=20, verbose=False,
                      input_names=["x", "t", "y"], output_names=["sample"],
                      dynamic_shapes=({0: batch}, {0: batch}, {0: batch}))
    return {"x": x, "t": t, "y": y}


def relative(value, reference):
    return float((value.double() - reference.double()).norm() / reference.double().norm())


def compare_outputs(model, inputs, path):
    """Relative errors of bf16 outputs, torch's and ours, against torch's fp32."""
    on_gpu = {name: value.cuda() for name, value in inputs.items()}
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    with torch.inference_mode():
        reference = model(*on_gpu.values()).cpu()
        with torch.autocast("cuda", torch.bfloat16):
            low = model.bfloat16()(on_gpu["x"].bfloat16(), on_gpu["t"], on_gpu["y"]).float().cpu()
    plan, flags = f"{work}/forward.plan", []
    seconds, peak, _ = call(f"{binaries}/ditc", path, "--mode", "forward", "--batch", "2", "--target", target, "-q", "-o", plan)
    size = os.path.getsize(path) + os.path.getsize(path + ".data")
    for name, value in inputs.items():
        np.save(f"{work}/{name}.npy", value.numpy())
        flags += ["--input", f"{name}={work}/{name}.npy"]
    call(f"{binaries}/ditrun", plan, *flags, "--output", f"sample={work}/sample.npy")
    ours = torch.from_numpy(np.load(f"{work}/sample.npy"))
    results["import"] = {"seconds": seconds, "peak_bytes": peak, "file_bytes": size}
    results["error"] = {"torch bf16": relative(low, reference), "ditrun bf16": relative(ours, reference)}
    say(f"import + compile {seconds:.2f} s, peak memory {peak / 1e9:.2f} GB, file {size / 1e9:.2f} GB")
    say(f"relative error against fp32: torch bf16 {results['error']['torch bf16']:.2e}, ditrun bf16 {results['error']['ditrun bf16']:.2e}")


def make_step(model, pictures):
    """One compiled sampling step of `pictures` pictures; it updates x in place."""
    x = torch.randn(pictures, 4, 32, 32, device="cuda")
    t = torch.full((2 * pictures,), 500, device="cuda")
    y = torch.cat([torch.arange(pictures) % 1000, torch.full((pictures,), 1000)]).cuda()
    scale = torch.tensor([4.0, 4.0, 4.0, 1.0], device="cuda").reshape(1, 4, 1, 1)
    a, b = torch.tensor(1.01, device="cuda"), torch.tensor(-0.05, device="cuda")

    def step(x):
        with torch.autocast("cuda", torch.bfloat16):
            said = model(torch.cat([x, x]).bfloat16(), t, y).float()
        given, free = said[:, :4].chunk(2)
        return a * x + b * (free + scale * (given - free))

    compiled = torch.compile(step, mode=mode)

    def run():
        torch.compiler.cudagraph_mark_step_begin()
        with torch.inference_mode():
            compiled(x)

    return run


def time_ditrun(plan, seconds, *flags):
    return median(call(f"{binaries}/ditrun", plan, "--labels", "1", "--bench", str(seconds), *flags)[2])


def time_loop(plan):
    """Milliseconds a step of a whole run, the prologue's share included."""
    def seconds(steps):
        done = subprocess.run([f"{binaries}/ditrun", plan, "--labels", "1", "--steps", str(steps), "--save-npy", f"{work}/picture.npy"],
                              check=True, capture_output=True, text=True)
        return float(done.stderr.split(" pictures in ")[1].split()[0])
    return (seconds(1000) - seconds(200)) / 800 * 1e3


def compare_steps(model, path):
    results["step"] = {}
    for pictures in counts:
        plan = f"{work}/xl{pictures}.plan"
        call(f"{binaries}/ditc", path, "--batch", str(pictures), "--target", target, "-q", "-o", plan)
        time_ditrun(plan, 1, "--tune")
        run = make_step(model, pictures)
        start = time.perf_counter()
        run(); torch.cuda.synchronize()
        first = time.perf_counter() - start
        for _ in range(5):
            run()
        theirs, ours = [], []
        for _ in range(3):
            theirs += time_torch(run, 1.5)
            ours.append(time_ditrun(plan, 1.5))
        mine, other = statistics.median(ours), statistics.median(theirs)
        results["step"][pictures] = {"torch": other, "ditrun": mine, "torch_first_call_s": first}
        say(f"N {pictures}: torch.compile ({mode}) {other:.3f} ms, ditrun {mine:.3f} ms a step, {other / mine:.2f} times; torch's first call {first:.1f} s")
        if pictures == 1:
            results["loop"] = time_loop(plan)
            say(f"N 1, a whole run of 1000 steps: {results['loop']:.3f} ms a step")
        torch._dynamo.reset()


def cold_start():
    """Process start to the first picture of one, plan on disk, and its parts."""
    flags = [f"{work}/xl{counts[0]}.plan", "--labels", "1", "--save-npy", f"{work}/picture.npy", "-v"]
    for steps in (1, 50):
        start = time.perf_counter()
        done = subprocess.run([f"{binaries}/ditrun", *flags, "--steps", str(steps)], check=True, capture_output=True, text=True)
        seconds = results[f"cold_start_{steps}_steps_s"] = time.perf_counter() - start
        parts = next(line for line in done.stderr.splitlines() if line.startswith("start:"))
        say(f"process start to the picture, {steps} steps: {seconds:.2f} s; {parts}")


model = make_model()
path = f"{work}/xl.onnx"
start = time.perf_counter()
inputs = export(model, path)
say(f"torch's export {time.perf_counter() - start:.1f} s")
compare_outputs(model.cuda(), inputs, path)
compare_steps(model, path)
cold_start()
json.dump(results, open(f"{work}/peers.json", "w"), indent=1)
