"""What one step costs."""
import dataclasses
import os
import subprocess
import sys
import time


@dataclasses.dataclass
class Measure:
    wall: float         # seconds
    cpu: float          # seconds, user and system
    rss: int            # bytes, the largest
    em_cpu: float = None  # of Ember's controller


def run_measured(command, **options):
    """Runs a peer to its end; CPU includes the children it waited for."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
    complaint = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}\n{complaint}")
    return Measure(time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def size_on_disk(directory):
    return sum(os.lstat(os.path.join(parent, name)).st_blocks * 512
               for parent, _, names in os.walk(directory) for name in names)
