"""batches.py FILE STEPS BATCH [label|time|nan|huge|without:3,4]: training batches of 8 x 8
pictures of 4 classes, with one thing wrong in the fourth step where that is asked
for, or without some of the steps, which count from 1."""
import math
import struct
import sys
import zipfile

path, steps, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
wrong = sys.argv[4] if len(sys.argv) > 4 else ""


def npy(shape, code, values):
    descr = {"f": "<f4", "q": "<i8"}[code]
    header = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (
        descr, "".join("%d, " % d for d in shape))
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
            + struct.pack("<%d%s" % (len(values), code), *values))


count = steps * batch
x0 = [math.sin(0.37 * i) for i in range(count * 64)]
noise = [math.cos(1.3 * i + 0.001 * i * i) for i in range(count * 64)]
t = [i * 137 % 1000 for i in range(count)]
labels = [i % 5 for i in range(count)]
sample = 3 * batch + 1
if wrong == "label":
    labels[sample] = 5
if wrong == "time":
    t[sample] = 1000
if wrong == "nan":
    x0[sample * 64 + 5] = math.nan
if wrong == "huge":  # a loss below the largest float, squares of gradients above
    x0[sample * 64 : (sample + 1) * 64] = [3e18] * 64
if wrong.startswith("without:"):
    left = [s for s in range(steps) if str(s + 1) not in wrong[8:].split(",")]
    x0, noise, t, labels = ([v for s in left for v in all[s * n : (s + 1) * n]] for all, n in (
        (x0, 64 * batch), (noise, 64 * batch), (t, batch), (labels, batch)))
    steps = len(left)
with zipfile.ZipFile(path, "w") as archive:
    for name, shape, code, values in (("x0", (steps, batch, 1, 8, 8), "f", x0),
                                      ("noise", (steps, batch, 1, 8, 8), "f", noise),
                                      ("t", (steps, batch), "q", t),
                                      ("labels", (steps, batch), "q", labels)):
        archive.writestr(name + ".npy", npy(shape, code, values))
