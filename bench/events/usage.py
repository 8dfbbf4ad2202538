"""Runs a command and prints, on the line after what it prints, its time and memory as JSON.

    usage.py SECONDS COMMAND...      kills the command after so many seconds

Apart from the runner because Linux counts the memory of who starts a process into that process's peak: this one is small.
"""

import json
import os
import signal
import sys
import time


def out_of_time(*_):
    print(f"not done within {limit} s", file=sys.stderr)
    os.kill(process, signal.SIGKILL)


limit, *command = sys.argv[1:]
started = time.perf_counter()
process = os.posix_spawnp(command[0], command, os.environ)
signal.signal(signal.SIGALRM, out_of_time)
signal.alarm(int(limit))
_, status, usage = os.wait4(process, 0)
figures = {
    "process_s": time.perf_counter() - started,
    "cpu_s": usage.ru_utime + usage.ru_stime,
    "peak_mib": usage.ru_maxrss / 1024,
}
print("\n" + json.dumps(figures))
# As a shell has it: a signal's number after 128.
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
