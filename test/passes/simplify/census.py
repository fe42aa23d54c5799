# Counts the ops of a printed function, one line an op, sorted by name.
import collections
import re
import sys

counts = collections.Counter(
    match.group(1)
    for line in sys.stdin
    if (match := re.match(r"\s+(?:%[^=]*= )?((?:dit|arith|tensor|math)\.\w+)", line))
)
for name, count in sorted(counts.items()):
    print(name, count)
