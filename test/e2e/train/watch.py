"""watch.py RUN GRID.png: what a run shows while it trains. TensorBoard's records
have the right checksums, the losses of metrics.jsonl and, as pictures, the bytes of
RUN/samples; the last of these has the pixels of GRID.png.
"""
import json, pathlib, struct, sys, zlib

run, grid = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def fields(message):
    """(number, value) of a protobuf message; values are numbers or bytes."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
            continue
        size = {1: 8, 5: 4}.get(kind) or varint()
        yield key >> 3, message[at:at + size]
        at += size


def pixels(png):
    """Rows as they are filtered: ditrun writes equal pictures equally."""
    at, data = 8, b""
    while at < len(png):
        size, name = struct.unpack_from(">I4s", png, at)
        data += png[at + 8:at + 8 + size] if name == b"IDAT" else b""
        at += 12 + size
    return png[16:29], zlib.decompress(data)


losses, pictures = {}, {}
for file in run.glob("events.out.tfevents.*"):
    data, at = file.read_bytes(), 0
    while at < len(data):
        head = data[at:at + 8]
        size = struct.unpack("<Q", head)[0]
        body = data[at + 12:at + 12 + size]
        sums = struct.unpack_from("<I", data, at + 8) + struct.unpack_from("<I", data, at + 12 + size)
        if sums != (masked(head), masked(body)):
            sys.exit(f"a wrong checksum at byte {at}")
        at += 16 + size
        event = dict(fields(body))
        for _, value in fields(event.get(5, b"")):
            entry = dict(fields(value))
            tag = entry[1].decode()
            if tag == "loss/loss":
                losses[event[2]] = struct.unpack("<f", entry[2])[0]
            if 4 in entry:
                pictures[event[2]] = (tag, dict(fields(entry[4]))[4])

lines = [line for line in map(json.loads, open(run / "metrics.jsonl")) if "loss" in line]
expected = {line["step"]: struct.unpack("<f", struct.pack("<f", line["loss"]))[0] for line in lines}
if losses != expected:
    sys.exit(f"losses {losses}, in metrics.jsonl {expected}")
files = {int(file.stem.split("-")[1]): file.read_bytes() for file in (run / "samples").iterdir()}
if pictures != {step: ("samples", png) for step, png in files.items()}:
    sys.exit(f"pictures of steps {sorted(pictures)}, files of steps {sorted(files)}")
last = max(files)
if pixels(files[last]) != pixels(grid.read_bytes()):
    sys.exit(f"the grid of step {last} is not {grid}")
print(f"losses of {len(losses)} steps, pictures of steps {sorted(pictures)}")
