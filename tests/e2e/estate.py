"""One controller and its agents as real processes, for the end-to-end tests.

    def test(check):
        with Estate(["n1", "n2"]) as estate: ...
    run(test, limit_seconds=120)

With `isolated=True` (root) every node lives in a network namespace of its own, joined by a bridge in another one, and
sees its own directory as `estate.srv`; links can be cut. Otherwise all share the loopback. Nothing leaves the machine,
and nothing is left behind: processes, guards, namespaces, files. EMBER_BIN names the directory of the programs,
EMBER_TEST_TOOLS that of ember-nasty-tree and ember-tree-compare.
"""
import contextlib
import ctypes
import datetime
import fcntl
import glob
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

BIN = os.environ.get("EMBER_BIN", "")
TOOLS = os.environ.get("EMBER_TEST_TOOLS", os.path.join(BIN, "..", "tests", "support"))
HERE = os.path.dirname(os.path.abspath(__file__))
SKIPPED = 77  # the SKIP_RETURN_CODE of the ctests
PREFIX = "ember-e2e-"
CLONE_NEWNET = 0x40000000
NOBODY = "02:00:00:00:00:01"  # the hardware address of no device

# The exit codes of `ember`.
DONE, FAILED, USAGE, PARTIAL, REFUSED, NOT_FOUND, UNREACHABLE, DAMAGED = range(8)

# The shortest times of silence that the relations of an estate's settings allow.
SHORT_TIMES = {"lease": "11s", "suspect_after": "7s", "unreachable_after": "12s", "dead_after": "36s"}

_started = time.monotonic()
_libc = ctypes.CDLL(None, use_errno=True)


def step(text):
    print(f"[{time.monotonic() - _started:6.1f}s] {text}", flush=True)


class Failure(AssertionError):
    pass


def check(condition, text):
    if not condition:
        raise Failure(text)


def check_equal(actual, expected, what):
    check(actual == expected, f"{what}: {actual!r}, expected {expected!r}")


def wait_for(predicate, seconds, what, pause=None):
    """The first true value of `predicate()`, asked until `seconds` have passed: every `pause` seconds, or ever less
    often, because most questions start a program and other tests want the processor."""
    begin = time.monotonic()
    while True:
        value = predicate()
        if value:
            return value
        waited = time.monotonic() - begin
        if waited > seconds:
            raise Failure(f"waited {seconds} s in vain: {what}")
        time.sleep(pause or min(0.5, max(0.05, waited / 8)))


def instant(text):
    """Seconds since 1970 of a time in JSON."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc).timestamp()
    return seconds + float(f"0.{fraction or 0}")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def program(name):
    return os.path.join(BIN, name)


def tool(name):
    return os.path.join(TOOLS, name)


def nasty_tree(directory, files=300):
    subprocess.run([tool("ember-nasty-tree"), directory, str(files)], check=True)


def write_noise(path, mebibytes):
    """Bytes that neither compress nor repeat."""
    with open(path, "wb") as file:
        for _ in range(mebibytes):
            file.write(os.urandom(1 << 20))


def remove_tree(directory):
    subprocess.run([tool("ember-nasty-tree"), "--remove", directory], check=True)


def check_same_tree(a, b):
    result = subprocess.run([tool("ember-tree-compare"), a, b], stdout=subprocess.PIPE)
    lines = result.stdout.decode(errors="backslashreplace").splitlines()
    check(result.returncode == 0, f"{len(lines)} differences between {a} and {b}:\n  " + "\n  ".join(lines[:20]))


def count_files(directory):
    return sum(len(files) for _, _, files in os.walk(os.fsencode(directory)))


def disk_bytes(*directories):
    """Of the files in them, while others write there."""
    total = 0
    for directory in directories:
        for parent, _, names in os.walk(directory):
            for name in names:
                with contextlib.suppress(FileNotFoundError):  # renamed meanwhile
                    total += os.lstat(os.path.join(parent, name)).st_size
    return total


def packs(vault):
    """The packs in use, the largest first."""
    return sorted(glob.glob(f"{vault}/packs/*/*"), key=os.path.getsize, reverse=True)


def flip(path, *offsets):
    with open(path, "r+b") as file:
        for offset in offsets:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 0x40]))


def run_checked(*command):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(result.returncode == 0, f"{' '.join(command)}: {result.stdout.decode(errors='replace')}")
    return result.stdout.decode(errors="replace")


def kill(pid, sig=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sig)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def parent_of(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rsplit(")", 1)[1].split()[1])


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Namespace:
    """A network namespace; `address` is what it has on the bridge, by `device`."""

    def __init__(self, name, address, device="eth0"):
        self.name, self.address, self.device = name, address, device
        self.path = f"/run/netns/{name}"
        self.lost = set()  # addresses that what is sent from here does not reach

    def make(self):
        run_checked("ip", "netns", "add", self.name)
        self.inode = os.stat(self.path).st_ino
        run_checked("ip", "-n", self.name, "link", "set", "lo", "up")

    def pids(self):
        found = []
        for pid in all_pids():
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{pid}/ns/net").st_ino == self.inode:
                    found.append(pid)
        return found

    def enter(self):
        """Prefix of a command that runs inside; it keeps its pid."""
        return ["nsenter", f"--net={self.path}"]

    def _neighbour(self, verb, address, *more):
        run_checked("ip", "-n", self.name, "neighbour", verb, address, "dev", self.device, *more)

    def lose(self, address):
        """What is sent from here to `address` is lost on the way, and nobody says so; the other way all is well."""
        self._neighbour("replace", address, "lladdr", NOBODY, "nud", "permanent")
        self.lost.add(address)

    def deliver(self, address):
        if address in self.lost:
            self._neighbour("delete", address)
            self.lost.remove(address)

    def connect(self, address, timeout=5):
        """A connection made from inside, usable everywhere."""
        result = []

        def dial():
            try:
                with open(self.path) as file:
                    if _libc.setns(file.fileno(), CLONE_NEWNET) != 0:  # of this thread alone
                        raise OSError(ctypes.get_errno(), "setns")
                result.append(socket.create_connection(address, timeout))
            except OSError as error:
                result.append(error)

        thread = threading.Thread(target=dial)
        thread.start()
        thread.join()
        if isinstance(result[0], OSError):
            raise result[0]
        return result[0]


class Loopback:
    """Stands in for a namespace where none is needed."""
    address = "127.0.0.1"

    def enter(self):
        return []

    def connect(self, address, timeout=5):
        return socket.create_connection(address, timeout)


class Process:
    """A long-running program with its log."""

    def __init__(self, command, log, environment=None):
        self.log = log
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                          preexec_fn=die_with_parent, env={**os.environ, **(environment or {})})
        self.pid = self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def kill(self, sig=signal.SIGKILL, seconds=20):
        if self.running():
            self.popen.send_signal(sig)
        return self.popen.wait(seconds)


class Node:
    def __init__(self, estate, name, space, link=None):
        self.estate, self.name, self.space, self.link = estate, name, space, link
        self.directory = os.path.join(estate.work, name)
        self.state = os.path.join(self.directory, "state")
        self.srv = os.path.join(self.directory, "srv")
        os.makedirs(self.srv, exist_ok=True)
        self.port = 7444 if estate.isolated else free_port()
        self.log = os.path.join(estate.logs, f"{name}.log")
        self.agent = None

    @property
    def listen(self):
        return f"{self.space.address}:{self.port}"

    def _inside(self, command):
        """As this node sees the world: its network and its own `srv`."""
        if not self.estate.isolated:
            return command
        script = f'mount --bind "{self.srv}" "{self.estate.srv}" && exec "$@"'
        return self.space.enter() + ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"] + command

    def join(self, token=None):
        token = token or self.estate.token(self.name)
        result = subprocess.run(self.space.enter() + [program("ember-agent"), "join", token, "--state-dir", self.state],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        check(result.returncode == 0, f"join of {self.name}: {result.stdout.decode(errors='replace')}")

    def start(self, environment=None, arguments=()):
        command = [program("ember-agent"), "--state-dir", self.state, "--name", self.name, "--listen", self.listen]
        self.agent = Process(self._inside(command + list(arguments)), self.log, environment)

    def agent_pid(self):
        return self.agent.pid

    def check_agent(self):
        """It has not ended by itself."""
        check(self.agent.running(), f"the agent of {self.name} ended by itself: {self.agent.popen.returncode}")

    def kill_agent(self):
        check(self.agent.running(), f"the agent of {self.name} is not running")
        self.agent.kill()

    def stop_agent(self):
        check_equal(self.agent.kill(signal.SIGTERM), 0, f"exit code of the agent of {self.name} after SIGTERM")

    def down(self):
        """Stops the services that this agent started; the agent must not run."""
        return subprocess.run([program("ember-agent"), "down", "--state-dir", self.state], timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT).returncode

    def lose_power(self):
        """Its agent and everything else that runs there ends at once."""
        if self.agent.running():
            self.agent.kill()
        self.kill_all()

    def kill_all(self):
        def nothing_left():
            pids = self.space.pids()
            for pid in pids:
                kill(pid)
            return not pids

        wait_for(nothing_left, 10, f"nothing runs on {self.name}", pause=0.01)

    def halt(self):
        """The way it is meant to end, once its agent and its services are down."""

    def end(self):
        """Whatever state it is in; what its agent has started may run on."""
        if self.agent is not None:
            self.agent.kill()

    def cut(self):
        run_checked("ip", "-n", self.estate.hub.name, "link", "set", self.link, "down")

    def _others(self):
        return [space for space in self.estate.spaces if space is not self.space]

    def mute(self, *spaces):
        """What it sends to these, or to anybody, is lost; what they send arrives."""
        for space in spaces or self._others():
            self.space.lose(space.address)

    def deafen(self):
        """What anybody sends to it is lost; what it sends arrives."""
        for space in self._others():
            space.lose(self.space.address)

    def heal(self):
        """After `cut`, `mute` and `deafen`."""
        run_checked("ip", "-n", self.estate.hub.name, "link", "set", self.link, "up")
        for space in self._others():
            self.space.deliver(space.address)
            space.deliver(self.space.address)

    def state_seen(self):
        return self.estate.node(self.name)["state"]

    def pids(self, text):
        """Processes of this node's services whose command has `text`."""
        if self.estate.isolated:
            candidates = self.space.pids()
        else:
            candidates = self.estate.own_pids(self.directory)
        return [pid for pid in candidates if text in command_of(pid) and alive(pid) and
                not command_of(pid).startswith(program("ember-agent"))]

    def guard_pid(self, workload):
        """What looks after a service of this node for its agent, or None."""
        text = f"/workloads/{workload}/"
        commands = {pid: command_of(pid) for pid in self.space.pids()}
        return next((pid for pid, command in commands.items() if " guard " in command and text in command), None)

    def pid(self, text):
        found = self.pids(text)
        check(len(found) == 1, f"{len(found)} processes of {self.name} have '{text}', expected one")
        return found[0]

    def http(self, address, path="/", timeout=5):
        """(status, body) of a GET from inside, or (0, b"") when nobody answers."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection(*address, timeout=timeout)
            connection.sock = self.space.connect(address, timeout)
            connection.request("GET", path)
            reply = connection.getresponse()
            body = reply.read()
            connection.close()
            return reply.status, body
        return 0, b""


class Answer:
    """What one call of `ember` gave."""

    def __init__(self, arguments, result):
        self.arguments = arguments
        self.code = result.returncode
        self.out = result.stdout.decode(errors="backslashreplace")
        self.err = result.stderr.decode(errors="backslashreplace")

    @property
    def json(self):
        return json.loads(self.out)

    def expect(self, code):
        check(self.code == code, f"ember {' '.join(self.arguments)}: exit code {self.code}, expected {code}\n"
              f"{self.out[-3000:]}{self.err[-3000:]}")
        return self

    def expect_text(self, *texts):
        for text in texts:
            check(text in self.out + self.err,
                  f"ember {' '.join(self.arguments)}: '{text}' is not in its answer\n{self.out}{self.err}")
        return self


class Estate:
    node_kind = Node

    def __init__(self, nodes=("n1", "n2", "n3"), isolated=False, in_memory=False):
        """`in_memory`: all files in a tmpfs, for tests of many files that need no real file system (root)."""
        self.isolated, self.in_memory = isolated, in_memory
        sweep()
        self.work = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")
        if in_memory:
            run_checked("mount", "-t", "tmpfs", "-o", "size=4g", "ember-e2e", self.work)
        self.logs = os.path.join(self.work, "logs")
        self.srv = os.path.join(self.work, "srv")
        self.shared = os.path.join(self.work, "shared")  # all nodes see it
        self.em_state = os.path.join(self.work, "em")
        for directory in (self.logs, self.srv, self.shared):
            os.makedirs(directory, exist_ok=True)
        self.spaces = []
        self.nodes = {}
        self.em = None
        self._names = list(nodes)

    # --- life ----------------------------------------------------------------------------------------------------

    def __enter__(self):
        try:
            self._make_network()
            self.start_em(first=True)
            for node in self.nodes.values():
                node.join()
                node.start()
            for node in self.nodes.values():
                wait_for(lambda: node.state_seen() == "ALIVE", 30, f"{node.name} is ALIVE")
        except BaseException:
            self.report()
            self.close()
            raise
        return self

    def __exit__(self, kind, error, trace):
        if error is not None:
            self.report()
        self.close()

    def _make_network(self):
        if not self.isolated:
            self.hub = Loopback()
            self.em_port = free_port()
            for name in self._names:
                self.nodes[name] = self.node_kind(self, name, Loopback())
            return
        self.em_port = 7443
        self.hub = self._namespace("hub", "10.88.0.1", "br0")
        ip_hub = ["ip", "-n", self.hub.name]
        run_checked(*ip_hub, "link", "add", "br0", "type", "bridge")
        run_checked(*ip_hub, "address", "add", "10.88.0.1/24", "dev", "br0")
        run_checked(*ip_hub, "link", "set", "br0", "up")
        for number, name in enumerate(self._names, 1):
            space = self._namespace(name, f"10.88.0.{10 + number}")
            link = f"veth{number}"
            run_checked(*ip_hub, "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space.name)
            run_checked(*ip_hub, "link", "set", link, "master", "br0", "up")
            run_checked("ip", "-n", space.name, "address", "add", f"{space.address}/24", "dev", "eth0")
            run_checked("ip", "-n", space.name, "link", "set", "eth0", "up")
            self.nodes[name] = self.node_kind(self, name, space, link)

    def _namespace(self, name, address, device="eth0"):
        space = Namespace(f"{PREFIX}{os.getpid()}-{name}", address, device)
        self.spaces.append(space)
        space.make()
        return space

    def start_em(self, first=False, environment=None):
        command = [program("ember-controller"), "--state-dir", self.em_state, "--listen", self.em_address]
        if first:
            run_checked(*command, "init", "--no-install")
        self.em = Process(self.hub.enter() + command, os.path.join(self.logs, "em.log"), environment)
        wait_for(lambda: self.ember("status", check_code=None).code == DONE, 30, "the EM answers")

    def kill_em(self):
        check(self.em.running(), "the EM is not running")
        self.em.kill()

    def close(self):
        """Everything ends, whatever state it is in. The logs stay when EMBER_E2E_KEEP is set."""
        step("cleaning up")
        signal.alarm(0)
        for node in self.nodes.values():
            node.end()
        if self.em is not None:
            self.em.kill()
        for node in self.nodes.values():
            if os.path.isdir(node.state):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    node.down()
        step("services are down")
        leftover = [pid for space in self.spaces if hasattr(space, "inode") for pid in space.pids()]
        leftover += self.own_pids(self.work)
        for pid in leftover:
            kill(pid)
        for space in self.spaces:
            subprocess.run(["ip", "netns", "delete", space.name], stderr=subprocess.DEVNULL)
        if not os.environ.get("EMBER_E2E_KEEP"):
            remove_work(self.work)
        step("cleaned up")

    def own_pids(self, directory):
        """Processes whose command names `directory`: nobody else knows its random name."""
        return [pid for pid in all_pids() if pid != os.getpid() and directory in command_of(pid)]

    def report(self):
        """What happened, for the reader of a failed test."""
        if self.em is not None and self.em.running():
            for verb in (["status"], ["recovery", "list"], ["events"]):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    answer = self.ember(*verb, check_code=None)
                    print(f"--- ember {' '.join(verb)}\n{tail(answer.out + answer.err, 40)}")
        for name in sorted(os.listdir(self.logs)):
            with open(os.path.join(self.logs, name), errors="backslashreplace") as log:
                print(f"--- the end of {name}\n{tail(log.read(), 40)}")
        sys.stdout.flush()

    # --- the command line ----------------------------------------------------------------------------------------

    @property
    def em_address(self):
        return f"{self.hub.address}:{self.em_port}"

    def command(self, *arguments):
        return self.hub.enter() + [program("ember"), *arguments]

    def environment(self, identity=None):
        return {**os.environ, "EMBER_EM": self.em_address, "HOME": self.work,
                "EMBER_IDENTITY": identity or os.path.join(self.em_state, "admin")}

    def ember(self, *arguments, check_code=DONE, seconds=300, stdin=b"", identity=None):
        result = subprocess.run(self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, input=stdin,
                                timeout=seconds, env=self.environment(identity))
        answer = Answer(arguments, result)
        return answer if check_code is None else answer.expect(check_code)

    def begin(self, *arguments):
        """`ember` in the background."""
        return subprocess.Popen(self.command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=self.environment(), preexec_fn=die_with_parent)

    def ask(self, *arguments):
        return self.ember(*arguments, "--json").json

    def token(self, name):
        return self.ember("node", "token", name, "--em-address", self.em_address).out.strip()

    def apply(self, description):
        """An estate as Python has it: JSON is YAML."""
        path = os.path.join(self.work, "estate.json")
        with open(path, "w") as file:
            json.dump(description, file, indent=1)
        return self.ember("apply", "-f", path, "--yes")

    def backup(self, workload, code=DONE):
        return self.ember("backup", "run", workload, "--json", check_code=code).json

    def backups(self, workload):
        return self.ask("backup", "list", workload)["items"]

    def node(self, name):
        return self.ask("node", "show", name)

    def workload(self, name):
        return self.ask("workload", "show", name)

    def wait_running(self, *names, seconds=60):
        for name in names:
            wait_for(lambda: self.workload(name)["state"] == "RUNNING", seconds, f"{name} is RUNNING")

    def recoveries(self, workload):
        """Oldest first, with their steps."""
        items = self.ask("recovery", "list", "--workload", workload)["items"]
        return sorted((self.ask("recovery", "show", item["id"]) for item in items), key=lambda r: r["started"])

    def wait_recovered(self, workload, count=1, seconds=120):
        """The newest of `count` recoveries, once it is DONE."""

        def ended():
            found = self.recoveries(workload)
            if len(found) < count or found[-1]["state"] not in ("DONE", "ESCALATED", "CANCELLED"):
                return None
            return found

        found = wait_for(ended, seconds, f"recovery {count} of {workload} has ended")
        check(len(found) == count, f"{workload} was recovered {len(found)} times, expected {count}")
        check(found[-1]["state"] == "DONE", f"recovery of {workload}: {found[-1]['state']}: {found[-1]['message']} "
              f"{found[-1].get('diagnostics')}")
        return found[-1]

    def events(self, kind=None, subject=None):
        items = self.ask("events")["items"]
        return [e for e in items if kind in (None, e["type"]) and subject in (None, e["subject"])]


def tail(text, lines):
    return "\n".join("  " + line for line in text.splitlines()[-lines:])


def exec_service(*command, **more):
    return {"exec": {"command": list(command), **more}}


def files(*paths):
    return [{"files": {"paths": list(paths)}}]


def small_disk(directory, mebibytes):
    """A file system of its own, in memory (root); goes with the estate's files."""
    os.makedirs(directory, exist_ok=True)
    run_checked("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "ember-e2e", directory)


class Ballast:
    """Takes all the room of a file system, but `spare` bytes, while it is in use."""

    def __init__(self, directory, spare=0):
        self.path, self.spare = f"{directory}/ballast", spare

    def __enter__(self):
        with open(self.path, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * (1 << 16))
            except OSError:
                pass
            size = file.tell()
        os.truncate(self.path, max(0, size - self.spare))

    def __exit__(self, *_):
        os.unlink(self.path)


def mounts_below(directory):
    """Deepest first, `directory` itself included."""
    with open("/proc/self/mounts") as file:
        points = [line.split()[1].encode().decode("unicode_escape") for line in file]
    return sorted((each for each in points if (each + "/").startswith(directory + "/")), key=len, reverse=True)


def remove_work(directory):
    # Lazily: what is killed may hold a file for a moment.
    for mounted in mounts_below(directory):
        run_checked("umount", "--lazy", mounted)
    remove_tree(directory)


@contextlib.contextmanager
def open_directory(path):
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def abandoned(directory):
    """Names of what is there of tests that live no more."""
    for name in os.listdir(directory) if os.path.isdir(directory) else []:
        pid = name[len(PREFIX):].split("-")[0]
        if name.startswith(PREFIX) and pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
            yield name


def sweep():
    """Takes away what tests left that were killed before they could: namespaces, what runs in them, files."""
    with open_directory(tempfile.gettempdir()) as temporary:
        fcntl.flock(temporary, fcntl.LOCK_EX)  # tests that begin together would sweep the same things
        for name in abandoned(tempfile.gettempdir()):
            remove_work(os.path.join(tempfile.gettempdir(), name))
        for name in abandoned("/run/netns"):
            space = Namespace(name, "")
            space.inode = os.stat(space.path).st_ino
            for pid in space.pids():
                kill(pid)
            subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL)


def _interrupted(number, frame):
    raise KeyboardInterrupt(f"signal {number}")


def _out_of_time(number, frame):
    raise Failure("the test is out of time")


def run(test, limit_seconds, root=True):
    """Runs `test()` and ends the process: 0, 1 or SKIPPED. Cleans up on SIGINT, SIGTERM and when time is over."""
    if not BIN:
        sys.exit("EMBER_BIN is not set: the directory of ember, ember-agent and ember-controller")
    if root and os.geteuid() != 0:
        print("skipped: only root may make network namespaces and trees with foreign owners")
        sys.exit(SKIPPED)
    if os.geteuid() == 0 and "EMBER_IN_PRIVATE_SYSTEMD" not in os.environ:
        # A loopback of its own: tests that run beside this one do not compete for its ports.
        check(_libc.unshare(CLONE_NEWNET) == 0, f"unshare: {os.strerror(ctypes.get_errno())}")
        run_checked("ip", "link", "set", "lo", "up")
    signal.signal(signal.SIGTERM, _interrupted)
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.alarm(limit_seconds)
    try:
        test()
    except KeyboardInterrupt:
        print("interrupted")
        sys.exit(130)
    except Exception:
        traceback.print_exc()
        print("FAILED", flush=True)
        sys.exit(1)
    step("passed")
