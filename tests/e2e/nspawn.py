"""Hosts as containers: each boots a systemd of its own, of which the agent is a unit, by systemd-nspawn(1).

    reason = why_not()                 None where this machine can do it
    estate = NspawnEstate(["n1", "n2"])
    estate.units["web.service"] = ...  units that every host has; none is enabled
    with estate: ...

A container uses the network namespace that its node has anyway, so that links are cut as they are elsewhere. Its
programs are those of this machine, mounted read-only; it has an /etc and a /var of its own, and the disks of its node.
Loss of power kills its first process, and so, at once, all the others; the next boot finds the same disks.
"""
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid

from estate import (BIN, HERE, PREFIX, Estate, Node, Process, abandoned, check, check_equal, command_of, kill,
                    parent_of, wait_for)

AGENT = os.path.join(os.path.realpath(BIN), "ember-agent")
AGENT_UNIT = os.path.join(HERE, "..", "..", "deploy", "ember-agent.service")
AGENT_STATE = "/var/lib/ember/agent"  # as its unit says
KILLED, STOPPED = "signal killed KILL", "success exited 0"
PROPAGATED = "/run/systemd/nspawn/propagate"

# What the test does not need, and what would take away files below /tmp: the estate is mounted there.
MASKED = ("systemd/system/getty.target", "systemd/system/systemd-logind.service",
          "systemd/system/systemd-tmpfiles-clean.timer", "tmpfiles.d/tmp.conf")
ENVIRONMENT = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}  # also where this machine has another one

DROP_IN = """[Unit]
ConditionPathExists=!{away}

[Service]
ExecStart=
ExecStart={agent} --state-dir {state} --name %l --listen {listen}
ExecStopPost=/bin/sh -c 'echo "$$SERVICE_RESULT $$EXIT_CODE $$EXIT_STATUS" >> {ends}'
StandardOutput=append:{log}
StandardError=append:{log}
"""


# --- this machine ----------------------------------------------------------------------------------------------------

def cgroups():
    """Where the only hierarchy is that needs no help to tell systemd that a unit is empty; None where there is none."""
    with open("/proc/self/mounts") as file:
        mounts = [line.split() for line in file]
    return next((point for _, point, kind, *_ in mounts if kind == "cgroup2" and os.access(point, os.W_OK)), None)


def why_not():
    if not shutil.which("systemd-nspawn"):
        return "no systemd-nspawn here (package systemd-container)"
    if not os.path.exists("/usr/lib/systemd/system/dbus.service"):
        return "no system bus to boot a container with (package dbus)"
    if not os.path.islink("/lib"):
        return "the programs of this machine are not all below /usr"
    if cgroups() is None:
        return "no cgroup2 here"
    return try_one()


def try_one():
    """What a container says that cannot be started here."""
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-") as root:
        make_root(root, {})
        group = os.path.join(cgroups(), os.path.basename(root))
        try:
            tried = subprocess.run(in_cgroup(group, container(root, "/bin/true")), stdin=subprocess.DEVNULL, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **ENVIRONMENT},
                                   timeout=60)
        finally:
            remove_cgroup(group)
    return None if tried.returncode == 0 else f"systemd-nspawn: {tried.stdout.strip()}"


def in_cgroup(path, command):
    """Inside systemd must have a tree of groups of its own, or those of all hosts would be the same."""
    os.makedirs(path, exist_ok=True)
    return ["sh", "-c", f'echo $$ > "{path}/cgroup.procs" && exec "$@"', "sh", *command]


def remove_cgroup(path):
    def gone():
        for directory, _, _ in os.walk(path, topdown=False):
            with contextlib.suppress(OSError):  # what is killed stays in it for a moment
                os.rmdir(directory)
        return not os.path.exists(path)

    wait_for(gone, 10, f"{path} is empty", pause=0.02)


def sweep():
    """What tests left that were killed before they could: the containers themselves went with them."""
    for name in abandoned(cgroups()):
        remove_cgroup(os.path.join(cgroups(), name))
    for name in abandoned(PROPAGATED):
        shutil.rmtree(os.path.join(PROPAGATED, name), ignore_errors=True)


# --- a container -----------------------------------------------------------------------------------------------------

def make_root(root, units):
    """Nothing is enabled in it but what systemd needs."""
    for directory in ("etc/systemd/system", "etc/tmpfiles.d", "usr", "var/lib"):
        os.makedirs(os.path.join(root, directory))
    for name in os.listdir("/"):
        if os.path.islink(f"/{name}") and os.readlink(f"/{name}").startswith("usr/"):
            os.symlink(os.readlink(f"/{name}"), f"{root}/{name}")
    for name in ("os-release", "passwd", "group", "nsswitch.conf", "ld.so.cache"):
        shutil.copy(f"/etc/{name}", f"{root}/etc/{name}")
    with open(f"{root}/etc/machine-id", "w") as file:
        file.write(f"{uuid.uuid4().hex}\n")
    for name in MASKED:
        os.symlink("/dev/null", f"{root}/etc/{name}")
    os.symlink("/usr/lib/systemd/system/multi-user.target", f"{root}/etc/systemd/system/default.target")
    for name, text in units.items():
        with open(f"{root}/etc/systemd/system/{name}", "w") as file:
            file.write(text)


def enable(root, unit):
    wants = f"{root}/etc/systemd/system/multi-user.target.wants"
    os.makedirs(wants, exist_ok=True)
    os.symlink(f"/etc/systemd/system/{unit}", f"{wants}/{unit}")


def container(root, *options):
    """The programs of this machine, of Ember and of the tests, in `root`."""
    programs = {os.path.dirname(AGENT), HERE, sys.prefix, sys.base_prefix}
    mounted = ["/usr", *sorted(each for each in programs if not (each + "/").startswith("/usr/"))]
    return ["systemd-nspawn", "--quiet", f"--directory={root}", "--register=no", "--keep-unit", "--settings=no",
            "--link-journal=no", "--resolv-conf=off", "--timezone=off",
            *(f"--bind-ro={each}" for each in mounted), *options]


class NspawnNode(Node):
    def __init__(self, estate, name, space, link=None):
        super().__init__(estate, name, space, link)
        self.root = os.path.join(estate.work, "roots", name)
        self.cgroup = os.path.join(cgroups(), space.name)
        self.machine = None
        self.away = os.path.join(self.directory, "away")  # while it exists, systemd does not start the agent
        self.ends = os.path.join(self.directory, "ends")  # how the agent ended, a line each time
        self.kills = 0
        os.makedirs(self.state, exist_ok=True)
        self._make()

    def _make(self):
        make_root(self.root, self.estate.units)
        units = f"{self.root}/etc/systemd/system"
        shutil.copy(AGENT_UNIT, units)
        os.mkdir(f"{units}/ember-agent.service.d")
        with open(f"{units}/ember-agent.service.d/here.conf", "w") as file:
            file.write(DROP_IN.format(agent=AGENT, state=AGENT_STATE, listen=self.listen, log=self.log, away=self.away,
                                      ends=self.ends))
        enable(self.root, "ember-agent.service")

    # --- the machine

    def boot(self):
        disks = [f"--bind={each}" for each in (self.directory, self.estate.logs, self.estate.shared)]
        command = container(self.root, "--boot", f"--machine={self.space.name}", f"--hostname={self.name}",
                            f"--network-namespace-path={self.space.path}", "--console=read-only", *disks,
                            f"--bind={self.srv}:{self.estate.srv}", f"--bind={self.state}:{AGENT_STATE}")
        log = os.path.join(self.estate.logs, f"{self.name}.boot.log")
        self.machine = Process(in_cgroup(self.cgroup, command), log, ENVIRONMENT)

    def booted(self):
        return self.machine is not None and self.machine.running()

    def init(self):
        """Its first process, as this machine numbers it; None when it has none."""
        for pid in self.space.pids():
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/status") as status:
                    numbers = next(line.split()[1:] for line in status if line.startswith("NSpid:"))
                if len(numbers) > 1 and numbers[-1] == "1":
                    return pid
        return None

    def inside(self, *command, seconds=60):
        """(exit code, output) of a command that runs in the container."""
        spaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        result = subprocess.run(["nsenter", f"--target={self.init()}", *spaces, "--wd=/", *command], text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                timeout=seconds)
        return result.returncode, result.stdout.strip()

    def systemctl(self, *arguments):
        return self.inside("systemctl", *arguments)[1]

    def _up(self):
        check(self.machine.running(), f"{self.name} does not boot: see {self.machine.log}")
        return self.init() is not None and self.systemctl("is-system-running") == "running"

    def lose_power(self):
        first = self.init()
        if first is not None:
            kill(first)
        if self.machine is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.machine.popen.wait(10)  # it clears up after its container
            self.machine.kill()
        self.kill_all()
        remove_cgroup(self.cgroup)

    def halt(self):
        check_equal(self.machine.kill(signal.SIGTERM, seconds=60), 0, f"exit code of {self.name} that is shut down")
        remove_cgroup(self.cgroup)

    def end(self):
        self.lose_power()

    # --- its agent

    def join(self, token=None):
        token = token or self.estate.token(self.name)
        open(self.away, "w").close()
        self.boot()
        wait_for(self._up, 60, f"{self.name} has booted")
        code, text = self.inside(AGENT, "join", token, "--state-dir", AGENT_STATE)
        check_equal(code, 0, f"exit code of join on {self.name}, which says: {text}")

    def start(self):
        """systemd starts the agent at boot, and again 2 s after it was killed; if it was away longer, it is told to."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.away)
        if not self.booted():
            return self.boot()
        wait_for(self._started, 30, f"systemd starts the agent of {self.name}")

    def _started(self):
        state = self.systemctl("show", "--property=SubState", "--value", "ember-agent")
        if state in ("dead", "failed"):
            self.systemctl("start", "--no-block", "ember-agent")
        return state in ("start", "running")

    def agent_pid(self):
        first = self.init()
        for pid in self.space.pids():
            with contextlib.suppress(OSError):
                if parent_of(pid) == first and command_of(pid).startswith(f"{AGENT} --state-dir"):
                    return pid
        return None

    def kill_agent(self):
        """systemd starts it again after 2 s, if `start` was called by then."""
        open(self.away, "w").close()
        pid = self.agent_pid()
        check(pid is not None, f"the agent of {self.name} is not running")
        self.kills += 1
        kill(pid)

    def _ends(self):
        if not os.path.exists(self.ends):
            return []
        with open(self.ends) as file:
            return file.read().splitlines()

    def check_agent(self):
        check(self.booted(), f"{self.name} ended by itself: see {self.machine.log}")
        ends = self._ends()
        check(ends.count(KILLED) == len(ends) <= self.kills,
              f"the agent of {self.name} ended by itself: {ends}, of which the test did {self.kills}")

    def stop_agent(self):
        self.systemctl("stop", "ember-agent")
        check_equal(self._ends()[-1:], [STOPPED], f"how the agent of {self.name} ended when its unit was stopped")

    def down(self):
        """Nothing runs where nothing has booted."""
        return self.inside(AGENT, "down", "--state-dir", AGENT_STATE)[0] if self.init() is not None else 0


class NspawnEstate(Estate):
    node_kind = NspawnNode

    def __init__(self, nodes):
        super().__init__(nodes, isolated=True)
        sweep()
        self.units = {}
