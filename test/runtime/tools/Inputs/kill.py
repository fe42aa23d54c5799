"""kill.py KILLS EVERY FOLDER COMMAND...: runs the command again and again, kills
it (-9) at a random moment, and lets it end at last. Each time FOLDER must hold
what one can go on from: no kill may lose more than EVERY steps of what had been
logged, unless the disk took longer to write a checkpoint than steps wait for it,
which the command must say (-v), and which must be rare. The last run, which is
not killed, does 20 steps more than the others had done, and FOLDER.steps tells
how many that are in all."""
import json
import os
import random
import re
import subprocess
import sys
import time

kills, every, folder, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
random.seed(1)


def logged():
    """The last step with a whole line."""
    step = 0
    try:
        for line in open(os.path.join(folder, "metrics.jsonl")):
            if line.endswith("\n"):
                step = json.loads(line)["step"]
    except FileNotFoundError:
        pass
    return step


# A slow machine needs longer to its first checkpoint, and to going on from one.
longest = 0.06
killed, resumed, furthest, lost, slow = 0, 0, 0, 0, 0
slowSince = False  # whether a write was slow since what had been logged was
while killed < kills:
    reached = logged()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(random.uniform(0.002, longest))
    process.kill()
    text = process.communicate()[1]
    killed += 1
    if process.returncode not in (0, -9):
        sys.exit("exit %d after %d kills: %s" % (process.returncode, killed, text))
    if "warning" in text:
        sys.exit("after %d kills: %s" % (killed, text))
    found = re.search(r"going on from .* step (\d+)", text)
    if found:
        resumed += 1
        now = reached - int(found.group(1))
        if now > every and not slowSince:
            sys.exit("went on from %s, but %d had been logged" % (found.group(1), reached))
        lost = max(lost, now)
        slowSince = False
    elif resumed * 3 < killed:
        longest = min(longest * 1.05, 2)
    if "still being written" in text:
        slow, slowSince = slow + 1, True
    furthest = max(furthest, logged())
steps = str(furthest + 20)
with open(folder + ".steps", "w") as file:
    file.write(steps)
process = subprocess.run(command + ["--train-steps", steps], capture_output=True, text=True)
if process.returncode:
    sys.exit("the last run: exit %d, %s" % (process.returncode, process.stderr))
for name in os.listdir(folder):
    if name.startswith(".") or "partial" in name:
        sys.exit("left over: " + name)
    if name.startswith("step-") and sorted(os.listdir(os.path.join(folder, name))) != [
            "ema.safetensors", "manifest.json", "model.safetensors", "optimizer.safetensors"]:
        sys.exit("not whole: " + name)
print(killed, "kills,", resumed, "times gone on, at most", lost, "steps lost, step", furthest, "slow writes:", slow)
if resumed < kills // 4:
    sys.exit("hardly any run was killed after its first checkpoint")
if slow > kills // 10:
    sys.exit("the disk takes longer for a checkpoint than steps wait")
