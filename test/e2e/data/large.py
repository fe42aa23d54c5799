"""large.py FOLDER COUNT EDGE: a folder of one class with square PNG pictures that
take long to decode."""
import pathlib
import random
import struct
import sys
import zlib

folder, count, edge = pathlib.Path(sys.argv[1]) / "class", int(sys.argv[2]), int(sys.argv[3])
folder.mkdir(parents=True)
random.seed(1)


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


row = random.randbytes(3 * edge)
raw = b"".join(b"\x04" + row[y % 50:] + row[:y % 50] for y in range(edge))
png = (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", edge, edge, 8, 2, 0, 0, 0))
       + chunk(b"IDAT", zlib.compress(raw, 1)) + chunk(b"IEND", b""))
for i in range(count):
    (folder / f"{i}.png").write_bytes(png)
