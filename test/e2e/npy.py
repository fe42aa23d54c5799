"""Arrays in tests, by Python's standard library alone.

npy.py extract F.npz NAME OUT.npy            one array of an npz, as it is
npy.py compare A.npy F.npz NAME TOLERANCE    largest absolute difference, exit 1 past it
npy.py equal A.npy B.npy                     the same shape, type and bytes, else exit 1
"""
import array, ast, struct, sys, zipfile


def parse(data):
    """(shape, dtype, bytes) of an npy file in C order."""
    assert data[:6] == b"\x93NUMPY", "not an npy file"
    size, start = (struct.unpack("<H", data[8:10])[0], 10) if data[6] == 1 else (struct.unpack("<I", data[8:12])[0], 12)
    header = ast.literal_eval(data[start:start + size].decode())
    assert not header["fortran_order"]
    return header["shape"], header["descr"], data[start + size:]


def member(path, name):
    with zipfile.ZipFile(path) as archive:
        return archive.read(name + ".npy")


def floats(parsed):
    shape, kind, data = parsed
    values = array.array({"<f4": "f", "<f8": "d", "<i8": "q"}[kind])
    values.frombytes(data)
    return values


command, arguments = sys.argv[1], sys.argv[2:]
if command == "extract":
    with open(arguments[2], "wb") as out:
        out.write(member(arguments[0], arguments[1]))
elif command == "compare":
    ours, theirs = parse(open(arguments[0], "rb").read()), parse(member(arguments[1], arguments[2]))
    if ours[0] != theirs[0]:
        sys.exit(f"shapes differ: {ours[0]} and {theirs[0]}")
    worst = max(abs(a - b) for a, b in zip(floats(ours), floats(theirs)))
    print(f"largest difference {worst:.3g}")
    sys.exit(not worst <= float(arguments[3]))
elif command == "equal":
    ours, theirs = (parse(open(path, "rb").read()) for path in arguments)
    sys.exit("they differ" if ours != theirs else 0)
else:
    sys.exit(__doc__)
