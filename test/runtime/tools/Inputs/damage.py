"""damage.py FROM TO HOW: half (cut in two), byte:N (flips a bit of byte N),
byte:-N (from the end), more (appends a byte)."""
import sys

data = bytearray(open(sys.argv[1], "rb").read())
how = sys.argv[3]
if how == "half":
    data = data[: len(data) // 2]
elif how == "more":
    data += b"\0"
else:
    data[int(how.split(":")[1])] ^= 16
open(sys.argv[2], "wb").write(data)
