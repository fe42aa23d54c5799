"""check.py losses|gradients|weights REFERENCE.npz NAMES.txt FILE [LOSS_TOLERANCE]

Compares a training run with what PyTorch did on the same batches:
losses     FILE is metrics.jsonl: mse + vb of every step within the tolerance
gradients  FILE is a safetensors file of the first step's gradients: the first 8
           numbers within 1e-4 of the norm + 1e-7, and the norm itself
weights    FILE is a checkpoint's folder: norms of weights and averages within
           1e-4, and the first 8 weights

to_k.bias is left out: its true gradient is zero, and what rounding leaves of it
Adam makes steps of.
"""
import array
import json
import math
import os
import struct
import sys
import zipfile

what, reference, names, path = sys.argv[1:5]
archive = zipfile.ZipFile(reference)


def numbers(name):
    data = archive.read(name + ".npy")
    length = struct.unpack_from("<H", data, 8)[0]
    header = data[10 : 10 + length].decode()
    code = {"<f4": "f", "<f8": "d"}[header.split("'descr': '")[1][:3]]
    values = array.array(code)
    values.frombytes(data[10 + length :])
    return values


def tensors(path):
    data = open(path, "rb").read()
    length = struct.unpack_from("<Q", data)[0]
    result = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        begin, end = entry["data_offsets"]
        values = array.array("f")
        values.frombytes(data[8 + length + begin : 8 + length + end])
        result[name] = values
    return result


def norm(values):
    return math.sqrt(math.fsum(v * v for v in values))


worst = 0.0


def near(what, value, expected, tolerance):
    global worst
    error = abs(value - expected)
    if not error <= tolerance:
        sys.exit("%s: %r, PyTorch has %r, tolerance %g" % (what, value, expected, tolerance))
    worst = max(worst, error / tolerance)


names = open(names).read().split()
if what == "losses":
    expected = [m + v for m, v in zip(numbers("mse"), numbers("vb"))]
    lines = [json.loads(line) for line in open(path)]
    if len(lines) != len(expected):
        sys.exit("%d steps, expected %d" % (len(lines), len(expected)))
    for line, loss in zip(lines, expected):
        near("step %d" % line["step"], line["loss"], loss, float(sys.argv[5]))
elif what == "gradients":
    found, heads = tensors(path), numbers("first_grad_head")
    if sorted(found) != sorted(names):
        sys.exit("names differ: %s" % sorted(set(found) ^ set(names)))
    for i, (name, size) in enumerate(zip(names, numbers("first_grad_norm"))):
        if name.endswith("to_k.bias"):
            continue
        tolerance = 1e-4 * size + 1e-7
        near(name, norm(found[name]), size, tolerance)
        for j, value in enumerate(found[name][:8]):
            near("%s[%d]" % (name, j), value, heads[8 * i + j], tolerance)
else:
    for file, key in (("model", "final_weight_norm"), ("ema", "final_ema_norm")):
        found = tensors(os.path.join(path, file + ".safetensors"))
        if sorted(found) != sorted(names):
            sys.exit("names differ: %s" % sorted(set(found) ^ set(names)))
        for name, size in zip(names, numbers(key)):
            if not name.endswith("to_k.bias"):
                near("%s of %s" % (file, name), norm(found[name]), size, 1e-4 * max(size, 1))
print("largest error: %.3f of the tolerance" % worst)
