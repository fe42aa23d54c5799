"""pictures.py KIND FOLDER COUNT [VARIANT]: a data set of COUNT pictures of ten
classes by a formula, sorted by class, so that every kind has the same pictures in
the same order.

fashion-mnist   1 x 28 x 28: IDX files, packed, and as many for tests
cifar10         3 x 32 x 32: binary files
latents         the same as float32 [1, 3, 32, 32] in [-1, 1], labels int64 [1];
                VARIANT other: float64 [3, 32, 32], labels int32 [];
                VARIANT moments: float32 [6, 32, 32], standard deviations behind them
folder          the same as PNG, every fifth a JPEG
webdataset      the same in two tar files
edm2            the moments as REPA's tool names them, and a dataset.json;
                VARIANT pictures: the pictures as EDM2's does, and a dataset.json

JPEGs are test/fixtures/data's, whose pixels are beside them as Pillow decodes them;
other kinds have those pixels.
"""
import gzip, io, json, pathlib, struct, sys, tarfile, zlib

kind, folder, count = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
variant = sys.argv[4] if len(sys.argv) > 4 else ""
fixtures = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "data"
folder.mkdir(parents=True, exist_ok=True)


def label(i):
    return i * 10 // count


def jpeg(i):
    """The name of the JPEG that sample i is, or None."""
    return None if i % 5 else ("halved", "full")[i // 5 % 2]


def planes(i, channels, size):
    """[C, H, W] bytes."""
    if channels == 3 and jpeg(i):
        pixels = (fixtures / (jpeg(i) + ".ppm")).read_bytes()[-size * size * 3:]
        return b"".join(pixels[c::3] for c in range(3))
    base = i * i * 7 + label(i) * 31
    return bytes((base + x * (3 + label(i)) + y * (5 + i % 11) + c * 50) % 256
                 for c in range(channels) for y in range(size) for x in range(size))


def png(i):
    """Rows filtered in turn by nothing, the left pixel, the row above."""
    data = planes(i, 3, 32)
    rows = [bytes(data[c * 1024 + y * 32 + x] for x in range(32) for c in range(3)) for y in range(32)]
    raw = b""
    for y, row in enumerate(rows):
        before = (bytes(96), bytes(3) + row, rows[y - 1] if y else bytes(96))[y % 3]
        raw += bytes([y % 3]) + bytes((a - b) % 256 for a, b in zip(row, before))

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def picture(i):
    """(ending, bytes) of a file."""
    return (".jpg", (fixtures / (jpeg(i) + ".jpg")).read_bytes()) if jpeg(i) else (".png", png(i))


def npy(path, descr, shape, data):
    header = "{'descr': '%s', 'fortran_order': False, 'shape': %r, }" % (descr, shape)
    header += " " * (-(len(header) + 11) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data)


def single(value):
    """A value as float32 has it."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def latent(i):
    return [single(single(b / 127.5) - 1) for b in planes(i, 3, 32)]


def moments(path, i):
    values = latent(i) + [(k + i) % 7 / 8 for k in range(3072)]
    npy(path, "<f4", (6, 32, 32), struct.pack("<6144f", *values))


if kind == "fashion-mnist":
    for part in ("train", "t10k"):
        images = struct.pack(">IIII", 0x803, count, 28, 28) + b"".join(planes(i, 1, 28) for i in range(count))
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images, 1))
        labels = struct.pack(">II", 0x801, count) + bytes(label(i) for i in range(count))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
elif kind == "cifar10":
    records = [bytes([label(i)]) + planes(i, 3, 32) for i in range(count)]
    for file in range(5):
        part = records[file * count // 5:(file + 1) * count // 5]
        (folder / f"data_batch_{file + 1}.bin").write_bytes(b"".join(part))
    (folder / "test_batch.bin").write_bytes(b"".join(records[::2]))
elif kind == "latents":
    for name in ("features", "labels"):
        (folder / name).mkdir(exist_ok=True)
    for i in range(count):
        if variant == "moments":
            moments(folder / "features" / f"{i}.npy", i)
        elif variant:
            npy(folder / "features" / f"{i}.npy", "<f8", (3, 32, 32), struct.pack("<3072d", *latent(i)))
        else:
            npy(folder / "features" / f"{i}.npy", "<f4", (1, 3, 32, 32), struct.pack("<3072f", *latent(i)))
        if variant == "other":
            npy(folder / "labels" / f"{i}.npy", "<i4", (), struct.pack("<i", label(i)))
        else:
            npy(folder / "labels" / f"{i}.npy", "<i8", (1,), struct.pack("<q", label(i)))
elif kind == "folder":
    for i in range(count):
        ending, data = picture(i)
        (folder / str(label(i))).mkdir(exist_ok=True)
        (folder / str(label(i)) / f"{i:05}{ending}").write_bytes(data)
elif kind == "webdataset":
    for file in range(2):
        with tarfile.open(folder / f"{file:04}.tar", "w") as tar:
            for i in range(file * count // 2, (file + 1) * count // 2):
                ending, data = picture(i)
                for name, body in ((ending, data), (".cls", str(label(i)).encode()), (".json", b"{}")):
                    entry = tarfile.TarInfo(f"set/{i:05}{name}")
                    entry.size = len(body)
                    tar.addfile(entry, io.BytesIO(body))
elif kind == "edm2":
    pairs = []
    for i in range(count):
        ending, data = picture(i)
        name = f"{i // 20:05}/" + (f"img{i:08}{ending}" if variant else f"img-mean-std-{i:08}.npy")
        (folder / name).parent.mkdir(exist_ok=True)
        if variant:
            (folder / name).write_bytes(data)
        else:
            moments(folder / name, i)
        pairs.append([name, label(i)])
    (folder / "dataset.json").write_text(json.dumps({"labels": pairs}))
else:
    sys.exit(__doc__)
