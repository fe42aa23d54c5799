#!/usr/bin/env python3
"""Writes an ONNX file from its description in a test's comments.

    make_model.py TEST MODEL OUT

reads the lines between `// MODEL name` and the next line that is no comment:

    input x float32 batchx3x4        a size or a symbol a dimension, or `scalar`
    weight l.weight float32 4x5      1/8, 2/8, 3/8, ...
    constant one int64 1 = 1         values, or one for all elements
    y, z = Split(x) {axis = -1} 'node name' com.microsoft
    output y                         of undeclared type
    opset 23                         18 if not given

Attributes are integers, [integers], floats or "texts". Needs no package.
"""
import re
import struct
import sys

TYPES = {"float32": (1, "f"), "int32": (6, "i"), "int64": (7, "q"), "bool": (9, "?"), "float16": (10, "e"), "float64": (11, "d")}


def varint(value):
    value &= (1 << 64) - 1
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def field(index, content):
    content = content.encode() if isinstance(content, str) else content
    return varint(index << 3 | 2) + varint(len(content)) + content


def dims_of(text):
    return [] if text == "scalar" else text.split("x")


def tensor(name, kind, dims, values):
    code, letter = TYPES[kind]
    sizes = [int(d) for d in dims_of(dims)]
    count = 1
    for size in sizes:
        count *= size
    if values is None:
        values = [(i + 1) / 8 for i in range(count)]
    if len(values) == 1:
        values = values * count
    raw = struct.pack("<%d%s" % (count, letter), *values)
    return b"".join(number(1, s) for s in sizes) + number(2, code) + field(8, name) + field(9, raw)


def value_info(name, kind, dims):
    shape = b""
    for dim in dims_of(dims):
        shape += field(1, number(1, int(dim)) if dim.isdigit() else field(2, dim))
    return field(1, name) + field(2, field(1, number(1, TYPES[kind][0]) + field(2, shape)))


def attribute(name, text):
    if text.startswith('"'):
        return field(1, name) + field(4, text[1:-1]) + number(20, 3)
    if text.startswith("["):
        items = [int(i) for i in text[1:-1].split(",") if i.strip()]
        return field(1, name) + b"".join(number(8, i) for i in items) + number(20, 7)
    if re.fullmatch(r"-?\d+", text):
        return field(1, name) + number(3, int(text)) + number(20, 2)
    return field(1, name) + varint(2 << 3 | 5) + struct.pack("<f", float(text)) + number(20, 1)


NODE = re.compile(r"(.*?)\s*=\s*(\w+)\((.*?)\)\s*(?:\{(.*)\})?\s*(?:'(.*?)')?\s*([\w.]*)$")


def node(line):
    outputs, kind, inputs, attributes, name, domain = NODE.match(line).groups()
    out = b"".join(field(1, i.strip()) for i in inputs.split(",")) if inputs else b""
    out += b"".join(field(2, o.strip()) for o in outputs.split(","))
    out += field(3, name or "") + field(4, kind)
    for key, text in re.findall(r"(\w+)\s*=\s*(\[.*?\]|\".*?\"|[^,]+)", attributes or ""):
        out += field(5, attribute(key, text.strip()))
    return out + field(7, domain)


def graph_of(lines):
    graph, opset = b"", 18
    for line in lines:
        words = line.split()
        if words[0] == "opset":
            opset = int(words[1])
        elif words[0] == "input":
            graph += field(11, value_info(*words[1:4]))
        elif words[0] == "output":
            graph += field(12, field(1, words[1]))
        elif words[0] in ("weight", "constant"):
            values = line.split("=")[1].split() if "=" in line else None
            parse = float if words[2].startswith("float") else int
            graph += field(5, tensor(*words[1:4], values and [parse(v) for v in values]))
        else:
            graph += field(1, node(line))
    return graph, opset


def main(test, name, out):
    lines, inside = [], False
    for line in open(test):
        text = line.strip()
        if text == "// MODEL " + name:
            inside = True
        elif inside and text.startswith("//") and not text.startswith("// MODEL"):
            lines.append(text[2:].strip())
        elif inside:
            break
    graph, opset = graph_of([line for line in lines if line])
    with open(out, "wb") as file:
        file.write(number(1, 8) + field(7, graph) + field(8, field(1, "") + number(2, opset)) + field(8, field(1, "com.microsoft") + number(2, 1)))


if __name__ == "__main__":
    main(*sys.argv[1:])
