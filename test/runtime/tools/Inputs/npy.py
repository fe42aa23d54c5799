"""npy.py FILE DESCR SHAPE [VALUES...]: writes a .npy file. SHAPE is like 2,3;
values repeat to fill it. A FILE.npz:NAME adds a member to an archive."""
import io
import struct
import sys
import zipfile

path, descr, shape, values = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
shape = [int(d) for d in shape.split(",") if d]
count = 1
for d in shape:
    count *= d
code = {"f2": "e", "f4": "f", "f8": "d", "i4": "i", "i8": "q", "u1": "B", "b1": "?"}.get(descr[1:], "f")
convert = float if code in "efd" else int
values = [convert(values[i % len(values)]) if values else convert(i) for i in range(count)]
header = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (descr, "".join("%d, " % d for d in shape))
header += " " * (-(len(header) + 11) % 64) + "\n"
data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
data += struct.pack((">" if descr[0] == ">" else "<") + "%d%s" % (count, code), *values)
if ":" in path:
    archive, member = path.split(":")
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as z:
        z.writestr(member + ".npy", data)
else:
    with open(path, "wb") as f:
        f.write(data)
