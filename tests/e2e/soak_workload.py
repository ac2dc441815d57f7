"""An exclusive service that tells of a double run by itself, and what its words prove (Witness).

    soak_workload.py NAME SHARED HOST_FILE [DATA]

SHARED is a directory that all hosts see. There an instance takes NAME.lock, leaves its identity in NAME.owner, and writes
a line into NAME.log every 50 ms: a number that goes up by one, and who it is. Whoever finds another instance alive says so in
NAME.double and runs on, as a database that knows no better would: the lock tells, it makes nobody wait.

In DATA it keeps the newest number, and some files each of which is named by its own digest. Data that are not whole when
it starts are told of in NAME.damaged.
"""
import collections
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import signal
import sys
import time

TICK_SECONDS = 0.05
TICKS_PER_COUNT = 10  # how often DATA learns the newest number
TICKS_PER_FILE = 100
FILE_BYTES, FILES_KEPT = 16 << 10, 12


# --- the service -----------------------------------------------------------------------------------------------------

def take(file, how=fcntl.LOCK_EX):
    """Whether nobody else has it. A lock ends with its process, on whichever host, where a process id says nothing."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def tell(path, ending, *words):
    with open(f"{path}.{ending}", "a") as file:
        file.write(json.dumps([time.time(), *words]) + "\n")


def write_whole(path, content):
    """All of it or nothing, and nothing beside it in the same directory; a full disk is borne."""
    aside = f"{os.path.dirname(path)}.new"
    try:
        with open(aside, "wb") as file:
            file.write(content)
        os.rename(aside, path)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise


class Line(collections.namedtuple("Line", "number epoch host pid what counted time")):
    """`counted`: the newest number in DATA; `time`: seconds since 1970."""

    @property
    def identity(self):
        return self.epoch, self.host, self.pid


NOTHING = Line(-1, 0, "", 0, "", 0, 0)


class Log:
    def __init__(self, path, host):
        self.file = open(f"{path}.log", "a+b", buffering=0)
        self.file.seek(max(0, os.path.getsize(self.file.name) - 4096))
        lines = self.file.read().splitlines()
        last = Line(*json.loads(lines[-1])) if lines else NOTHING
        self.number, self.identity = last.number, (last.epoch + 1, host, os.getpid())

    def say(self, what, counted):
        self.number += 1
        self.file.write(json.dumps([self.number, *self.identity, what, counted, time.time()]).encode() + b"\n")


class Claim:
    """That it is the only one: a lock, which ends with its process, and a record of the owner, which does not."""

    def __init__(self, path, identity):
        self.path, self.record, self.told = path, f"{path}.owner", set()
        self.mine = list(identity)
        self.lock = open(f"{path}.lock", "a")
        if not take(self.lock):
            tell(path, "double", "the lock is taken", self.mine, self.owner())
        self.own()

    def owner(self):
        """(who, whether it lives)"""
        with contextlib.suppress(FileNotFoundError):
            with open(self.record) as file:
                return json.load(file), not take(file, fcntl.LOCK_SH)
        return None, False

    def own(self):
        """The record is written and locked aside, and linked, so that it is there whole and only where none was."""
        aside = f"{self.record}.{os.urandom(8).hex()}"
        self.held = open(aside, "w")
        json.dump(self.mine, self.held)
        self.held.flush()
        take(self.held)
        while True:
            try:
                os.link(aside, self.record)
                return os.unlink(aside)
            except FileExistsError:
                self.look()
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.record)

    def look(self):
        """Tells once of each other owner that lives."""
        owner, lives = self.owner()
        if owner is None or owner == self.mine or str(owner) in self.told:
            return
        self.told.add(str(owner))
        if lives:
            tell(self.path, "double", "another one lives", self.mine, owner)

    def end(self):
        if self.owner()[0] == self.mine:
            os.unlink(self.record)


class Data:
    def __init__(self, directory, path):
        self.directory, self.count_file = directory, os.path.join(directory, "count")
        self.read_count()
        for file_path in self.files():
            with open(file_path, "rb") as file:
                if hashlib.sha256(file.read()).hexdigest() != os.path.basename(file_path):
                    tell(path, "damaged", file_path)

    def files(self):
        """The oldest first."""
        paths = [os.path.join(self.directory, name) for name in os.listdir(self.directory)]
        return sorted((path for path in paths if path != self.count_file), key=os.path.getmtime)

    def read_count(self):
        with open(self.count_file) as file:
            self.counted = int(file.read())

    def count(self, number):
        write_whole(self.count_file, str(number).encode())
        self.read_count()

    def add_file(self):
        content = os.urandom(FILE_BYTES)
        write_whole(os.path.join(self.directory, hashlib.sha256(content).hexdigest()), content)
        for path in self.files()[:-FILES_KEPT]:
            os.unlink(path)


class NoData:
    counted = 0

    def count(self, number):
        pass

    def add_file(self):
        pass


def serve(name, shared, host_file, data_directory=None):
    asked_to_stop = []
    signal.signal(signal.SIGTERM, lambda *_: asked_to_stop.append(True))
    with open(host_file) as file:
        host = file.read().strip()
    path = os.path.join(shared, name)
    data = Data(data_directory, path) if data_directory else NoData()
    log = Log(path, host)
    claim = Claim(path, log.identity)
    log.say("start", data.counted)
    while not asked_to_stop:
        time.sleep(TICK_SECONDS)
        claim.look()
        log.say("run", data.counted)
        if log.number % TICKS_PER_COUNT == 0:
            data.count(log.number)
        if log.number % TICKS_PER_FILE == 0:
            data.add_file()
    log.say("stop", data.counted)
    claim.end()


# --- what it says ----------------------------------------------------------------------------------------------------

class ServiceLog:
    """Read as it grows. `last`: the newest line; `starts`: the first one of each life."""

    def __init__(self, path):
        self.path, self.offset = path, 0
        self.last, self.starts = NOTHING, []

    def read(self):
        for ending, what in (("double", "ran twice"), ("damaged", "was started on damaged data")):
            if os.path.exists(f"{self.path}.{ending}"):
                with open(f"{self.path}.{ending}") as file:
                    raise AssertionError(f"{self.path} {what}:\n{file.read()}")
        if not os.path.exists(f"{self.path}.log"):
            return
        with open(f"{self.path}.log", "rb") as file:
            file.seek(self.offset)
            for text in file:
                if not text.endswith(b"\n"):
                    break
                self.offset += len(text)
                self._take(Line(*json.loads(text)))

    def _take(self, line):
        """Two that write at once count from the same number, or take turns: either shows."""
        last, begins = self.last, line.what == "start"
        goes_on = line.identity == last.identity and last.what != "stop"
        if line.number != last.number + 1 or not (line.epoch == last.epoch + 1 if begins else goes_on):
            raise AssertionError(f"{self.path} ran twice: {line} follows {last}")
        self.last = line
        if begins:
            self.starts.append(line)


class Witness:
    def __init__(self, shared, names):
        self.logs = {name: ServiceLog(os.path.join(shared, name)) for name in names}

    def read(self):
        """AssertionError when anything ran twice."""
        for log in self.logs.values():
            log.read()

    def speaks(self, name, seconds=1):
        """Lately, as of the last `read`."""
        last = self.logs[name].last
        return last.what in ("start", "run") and last.time > time.time() - seconds


def processes(estate, name):
    """[(node, pid)] of what runs of it, on all hosts."""
    return [(node, pid) for node in estate.nodes.values() for pid in node.pids(f"soak_workload.py {name} ")]


if __name__ == "__main__":
    serve(*sys.argv[1:])
