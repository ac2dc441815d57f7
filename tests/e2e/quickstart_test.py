"""./quickstart as a person types it: the sample, again, a directory of one's own, interrupted, stopped.

The programs are those of EMBER_BIN; nothing is installed or built.
"""
import contextlib
import grp
import hashlib
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile

from estate import BIN, HERE, PREFIX, check, check_equal, run, run_checked, step, wait_for

QUICKSTART = os.path.join(HERE, "..", "..", "quickstart")
RUN_SECONDS = 150  # of one run, on a loaded machine


class Quickstart:
    def __init__(self, directory, user=None):
        """`user`: a name, for root who wants to see it run by somebody without rights."""
        self.directory = directory
        self.user = {"user": user, "group": grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name, "extra_groups": []} if user else {}
        self.state = os.path.join(directory, "the state")
        self.environment = {"PATH": os.environ["PATH"], "HOME": os.path.join(directory, "home"), "EMBER_BIN": BIN}

    def start(self, *arguments):
        return subprocess.Popen(["bash", QUICKSTART, "--state", self.state, *arguments], env=self.environment, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                                **self.user)

    def run(self, *arguments, code=0):
        process = self.start(*arguments)
        try:
            output, _ = process.communicate(timeout=RUN_SECONDS)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            raise
        check_equal(process.returncode, code, f"exit code of quickstart {' '.join(arguments)}, which said\n{output}\n")
        return output

    def interrupt(self, *arguments, sig):
        """Runs until the data is gone, then has `sig` sent to quickstart and what it waits for."""
        process = self.start(*arguments)
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("destroyed: "):
                os.killpg(process.pid, sig)
        process.stdout.close()
        return process.wait(RUN_SECONDS), "".join(said)

    def processes(self):
        """The command lines of this state's processes, whoever started them."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
                if any(word.startswith(os.fsencode(self.state) + b"/") for word in words):
                    found.append((int(pid), words))
        return found

    def agent_pid(self):
        with open(os.path.join(self.state, "agent.pid")) as file:
            return int(file.read().split()[0])


def fingerprint(directory):
    """All that a person would miss of a tree."""
    result = {}
    for parent, names, files in os.walk(os.fsencode(directory)):
        for path in [parent] + [os.path.join(parent, name) for name in names + files]:
            info = os.lstat(path)
            content = b""
            if stat.S_ISREG(info.st_mode):
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).digest()
            elif stat.S_ISLNK(info.st_mode):
                content = os.readlink(path)
            links = 0 if stat.S_ISDIR(info.st_mode) else info.st_nlink
            result[path] = (info.st_mode, info.st_uid, info.st_gid, links, info.st_mtime_ns, content)
    return result


def check_summary(output, directory):
    """The last lines; returns the backup's id."""
    lines = output.splitlines()
    start = max(i for i, line in enumerate(lines) if line.startswith("protected: "))
    summary = "\n".join(lines[start:])
    check(len(lines) - start == 10, f"ten last lines, not\n{summary}")
    count = re.match(rf"protected: {re.escape(directory)} \((\d+) files\)", summary)
    check(count, f"what was protected:\n{summary}")
    backup = re.search(r"^backup: +(\S+/\d{8}-\d{6}\S*)$", summary, re.M)
    check(backup, f"the backup's id:\n{summary}")
    check(re.search(rf"^destroyed: all {count[1]} files of .*kill -9", summary, re.M), f"what was destroyed:\n{summary}")
    check(re.search(r"^recovery: +detection \d+\.\d s, restore \d+\.\d s, total \d+\.\d s", summary, re.M), f"the times:\n{summary}")
    check(re.search(rf"^checked: +all {count[1]} files identical$", summary, re.M), f"the comparison:\n{summary}")
    return backup[1], summary


def check_next_commands(quickstart, summary):
    """The commands that it proposes work as printed, one after the other in one shell."""
    commands = [line.removeprefix("next:").strip() for line in summary.splitlines()[5:9]]
    result = subprocess.run(["bash", "-euc", "\n".join(commands)], env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
                            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=60,
                            **quickstart.user)
    check_equal(result.returncode, 0, f"the next commands\n{commands}\nsaid\n{result.stdout}\n")
    target = commands[-1].rsplit(":", 1)[1]
    check(os.path.isdir(target), f"nothing was restored to {target}")
    shutil.rmtree(target)


def check_refusals(quickstart, mine):
    for arguments in (["/"], ["/etc"], [mine + "-is-not-there"], [quickstart.state + "/em"], [quickstart.directory],
                      [mine, mine], ["--wrong"], ["--state"], [os.path.join(mine, "hello")]):
        said = quickstart.run(*arguments, code=2)
        check(said.startswith("quickstart: ") and said.endswith("next: ./quickstart --help\n"), f"{arguments}: {said}")
    check("--down" in quickstart.run("--help"), "--help says how to stop")


def demonstrate(quickstart, mine):
    sample = os.path.join(quickstart.state, "sample", "data")
    step("the sample, from nothing")
    first, summary = check_summary(quickstart.run(), sample)
    check_next_commands(quickstart, summary)
    check_refusals(quickstart, mine)
    agent, before = quickstart.agent_pid(), fingerprint(sample)

    step("again: the same agent, another backup, everything as it was")
    second, _ = check_summary(quickstart.run(), sample)
    check(first != second, f"one backup for two runs: {first}")
    check_equal(quickstart.agent_pid(), agent, "the agent's pid")
    check(fingerprint(sample) == before, "the second run changed the sample")

    step("a directory of one's own")
    before = fingerprint(mine)
    siblings = sorted(os.listdir(os.path.dirname(mine)))
    check_summary(quickstart.run(mine), mine)
    check(fingerprint(mine) == before, "the directory is not as it was")
    check_equal(sorted(os.listdir(os.path.dirname(mine))), siblings, "what lies beside it")

    step("interrupted while it is away")
    code, said = quickstart.interrupt(mine, sig=signal.SIGINT)
    check_equal(code, 1, f"exit code after Ctrl-C, having said\n{said}\n")
    check(fingerprint(mine) == before, f"the directory is not as it was; it said\n{said}")
    check_equal(sorted(name for name in os.listdir(os.path.dirname(mine)) if ".restored-by-ember-" not in name), siblings,
                "what lies beside it")

    step("killed while it is away: the next run puts the original back first")
    quickstart.interrupt(mine, sig=signal.SIGKILL)
    inode = os.stat(os.path.join(os.path.dirname(mine), f".{os.path.basename(mine)}.quickstart-kept")).st_ino
    said = quickstart.run("--down")
    check(f"the original of {mine} is back" in said, said)
    check_equal(os.stat(mine).st_ino, inode, "the inode of the directory")
    check(fingerprint(mine) == before, "the directory is not as it was")
    check_summary(quickstart.run(mine), mine)
    check(fingerprint(mine) == before, "the directory is not as it was")


def may_run_it(user):
    programs = [os.path.join(BIN, name) for name in ("ember", "ember-agent", "ember-controller")] + [QUICKSTART]
    return all(subprocess.run(["test", "-r", path], user=user).returncode == 0 for path in programs)


def as_root():
    """Once, from nothing; the rest is done by somebody without rights."""
    directory = os.path.realpath(tempfile.mkdtemp(prefix=PREFIX))
    quickstart = Quickstart(directory)
    try:
        check_summary(quickstart.run(), os.path.join(quickstart.state, "sample", "data"))
    finally:
        quickstart.run("--down")
        wait_for(lambda: not quickstart.processes(), 10, f"nothing left running of {quickstart.state}")
    shutil.rmtree(directory)
    step("by root")


def test():
    root = os.geteuid() == 0
    if root:
        as_root()
    user = "nobody" if root and may_run_it("nobody") else None
    directory = os.path.realpath(tempfile.mkdtemp(prefix=PREFIX))
    quickstart = Quickstart(directory, user)
    step(f"by {user or 'the user of this test'}")
    try:
        mine = os.path.join(directory, "home", "my 'own' data")
        os.makedirs(os.path.join(mine, "deep", "down"))
        for i in range(300):
            with open(os.path.join(mine, "deep", "down", f"file {i}"), "w") as file:
                file.write(f"{i}\n" * i)
        with open(os.path.join(mine, "hello"), "w") as file:
            file.write("#!/bin/sh\n")
        os.chmod(os.path.join(mine, "hello"), 0o755)
        os.symlink("deep/down/file 1", os.path.join(mine, "link"))
        if user:
            run_checked("chown", "-R", "-h", f"{user}:", directory)
        demonstrate(quickstart, mine)
    finally:
        step("stopped")
        quickstart.run("--down")
        wait_for(lambda: not quickstart.processes(), 10, f"nothing left running of {quickstart.state}")
    check(os.path.isdir(os.path.join(quickstart.state, "vault")), "the state stays")
    quickstart.run("--down")  # twice is no error
    shutil.rmtree(directory)


run(test, limit_seconds=480, root=False)
