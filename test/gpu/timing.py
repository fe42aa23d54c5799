"""What the benchmarks beside PyTorch on a GPU have in common."""
import time
import torch


def time_torch(run, seconds):
    """Milliseconds of each run, by events, for so many seconds."""
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin, finish = torch.cuda.Event(True), torch.cuda.Event(True)
        begin.record(); run(); finish.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(finish))
    return times


def median(text):
    """Milliseconds of the median that ditrun --bench printed."""
    line = next(line for line in text.splitlines() if line.startswith("min"))
    return float(line.split("median")[1].split()[0])
