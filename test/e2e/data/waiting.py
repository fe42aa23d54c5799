"""waiting.py FILE LEAST MOST: the share of the time, in percent, that ditrun --bench
says it waited for data lies within these bounds."""
import re
import sys

text = open(sys.argv[1]).read()
found = re.search(r"waiting for data: median ([\d.]+) ms, p99 ([\d.]+) ms a step, ([\d.]+) % of the time", text)
if not found:
    sys.exit("nothing about data:\n" + text)
print(found.group())
if not float(sys.argv[2]) <= float(found.group(3)) <= float(sys.argv[3]):
    sys.exit("%s, expected %s to %s %%" % (found.group(), *sys.argv[2:]))
