"""stop.py COMMAND...: runs it, interrupts it after half a second, prints what it
said on stderr and how it ended."""
import signal
import subprocess
import sys
import time

process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
time.sleep(0.5)
process.send_signal(signal.SIGINT)
print(process.communicate()[1].decode())
print("exit", process.returncode)
