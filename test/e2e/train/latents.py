"""latents.py FOLDER COUNT CHANNELS SIZE CLASSES [moments]: writes random latents
as fast-DiT does, features/I.npy [1, C, H, W] and labels/I.npy [1]; moments: means
and standard deviations, [2 C, H, W]."""
import os
import random
import struct
import sys

folder = sys.argv[1]
count, channels, size, classes = map(int, sys.argv[2:6])
moments = sys.argv[6:] == ["moments"]
draw = random.Random(1)


def write(part, i, code, shape, data):
    os.makedirs(os.path.join(folder, part), exist_ok=True)
    header = "{'descr': '%s', 'fortran_order': False, 'shape': %r, }" % (code, shape)
    header = header.ljust(117) + "\n"
    with open(os.path.join(folder, part, "%d.npy" % i), "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)))
        file.write(header.encode() + data)


for i in range(count):
    values = [draw.gauss(0, 1) for _ in range(channels * size * size)]
    shape = (1, channels, size, size)
    if moments:
        values += [draw.random() for _ in values]
        shape = (2 * channels, size, size)
    write("features", i, "<f4", shape, struct.pack("<%df" % len(values), *values))
    write("labels", i, "<i8", (1,), struct.pack("<q", draw.randrange(classes)))
