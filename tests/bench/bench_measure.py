"""What one step costs."""
import dataclasses
import os
import subprocess
import time


class Failed(SystemExit):
    """A program did not do what it was asked. Unless somebody catches it, these words are the end of the bench."""


@dataclasses.dataclass
class Measure:
    wall: float         # seconds
    cpu: float          # seconds, user and system
    rss: int            # bytes, the largest
    em_cpu: float = None  # of Ember's controller
    read: int = None    # bytes that the process read itself, from whatever file; a mapped file does not count
    vault_rss: int = None  # of Ember's vault, where another agent serves it
    output: str = ""    # of the command


def bytes_read(pid):
    with open(f"/proc/{pid}/io") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("rchar:"))


def run_measured(command, **options):
    """Runs a peer to its end; CPU includes the children it waited for."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
    try:
        complaint = process.stderr.read().decode(errors="replace")
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        wall = time.monotonic() - start
        read = bytes_read(process.pid)
    except BaseException:
        process.kill()
        process.wait()
        raise
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Failed(f"{' '.join(command)}: exit code {process.returncode}\n{complaint}")
    return Measure(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, read=read)


def size_on_disk(directory):
    return sum(os.lstat(os.path.join(parent, name)).st_blocks * 512
               for parent, _, names in os.walk(directory) for name in names)
