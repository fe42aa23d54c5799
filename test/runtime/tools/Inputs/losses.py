"""losses.py METRICS: what must be the same to the last bit in runs that are the
same: step, losses, norm and rate of each line, without the times."""
import json
import sys

for line in open(sys.argv[1]):
    entry = json.loads(line)
    print(*(repr(entry[key]) for key in ("step", "loss", "mse", "vb", "grad_norm", "lr")),
          entry["loss_by_t"])
