"""Ember: a controller and an agent on loopback, a vault that the agent serves."""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from bench_measure import Failed, Measure, bytes_read, size_on_disk

POLICY = {"schedule": "*-*-* 03:00", "keep": {"last": 5}}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return sum(int(fields[i]) for i in (11, 12, 13, 14)) / os.sysconf("SC_CLK_TCK")


def peak_rss(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))


def reset_peak_rss(pid):
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")


def wait_for(predicate, seconds, what):
    end = time.monotonic() + seconds
    while not predicate():
        if time.monotonic() > end:
            raise Failed(f"waited {seconds} s in vain: {what}")
        time.sleep(0.02)


class Estate:
    """A controller, an agent named `here`, and one workload named `tree`; stopped at the end of `with`."""

    def __init__(self, programs, directory):
        self._programs, self.directory, self._processes = programs, directory, {}
        self._em = f"127.0.0.1:{free_port()}"
        self.agent_port, self._begun = free_port(), []
        self._environment = dict(os.environ, EMBER_EM=self._em, EMBER_IDENTITY=os.path.join(directory, "em", "admin"))

    def __enter__(self):
        try:
            self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self._begun:
            process.kill()
            process.wait()
        for name in reversed(self._processes):
            process = self._processes[name]
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if name == "ember-agent":
                self._call("ember-agent", "down", "--state-dir", os.path.join(self.directory, "agent"))

    def _begin(self):
        em, agent = (os.path.join(self.directory, name) for name in ("em", "agent"))
        self._call("ember-controller", "--state-dir", em, "--listen", self._em, "init", "--no-install")
        self._start("ember-controller", "--state-dir", em, "--listen", self._em)
        wait_for(lambda: self._try("ember", "status"), 30, "the controller")
        token = self._call("ember", "node", "token", "here", "--em-address", self._em).strip()
        self._call("ember-agent", "join", token, "--state-dir", agent)
        self._start("ember-agent", "--state-dir", agent, "--name", "here", "--listen", f"127.0.0.1:{self.agent_port}")
        wait_for(lambda: self.json("node", "show", "here")["state"] == "ALIVE", 30, "the agent")

    def _start(self, name, *arguments):
        with open(os.path.join(self.directory, name + ".log"), "ab") as log:
            self._processes[name] = subprocess.Popen([os.path.join(self._programs, name), *arguments], stdin=subprocess.DEVNULL,
                                                     stdout=log, stderr=log, env=self._environment, start_new_session=True)

    def _try(self, name, *arguments):
        return subprocess.run([os.path.join(self._programs, name), *arguments], env=self._environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def _call(self, name, *arguments):
        result = subprocess.run([os.path.join(self._programs, name), *arguments], env=self._environment, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if result.returncode != 0:
            raise Failed(f"{name} {' '.join(arguments)}: exit code {result.returncode}\n{result.stderr}")
        return result.stdout

    def ember(self, *arguments):
        return self._call("ember", *arguments)

    def json(self, *arguments):
        return json.loads(self.ember("--json", *arguments))

    def begin(self, *arguments):
        """`ember` in the background; it ends with the estate."""
        process = subprocess.Popen([os.path.join(self._programs, "ember"), *arguments], stdin=subprocess.DEVNULL, text=True,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=self._environment)
        self._begun.append(process)
        return process

    @property
    def agent_pid(self):
        return self._processes["ember-agent"].pid

    def apply(self, *workloads, vault=None, policy=None):
        """`vault` and `policy`: what these say beside what they must."""
        estate = {"vaults": [{"name": "local", "node": "here", "path": os.path.join(self.directory, "vault"), **(vault or {})}],
                  "policies": [{"name": "by-hand", "vaults": ["local"], **(POLICY if policy is None else policy)}],
                  "workloads": [{"name": "tree", "node": "here", "policies": ["by-hand"], **each} for each in workloads]}
        path = os.path.join(self.directory, "estate.json")
        with open(path, "w") as file:
            json.dump(estate, file)
        self.ember("apply", "-f", path, "--yes")

    def measure(self, *arguments):
        """Runs an `ember` command that waits for the agent; CPU is the agent's and the command's own."""
        return self.measure_calls([arguments])

    def measure_calls(self, calls):
        """The same of several commands, one after the other."""
        agent, em = self.agent_pid, self._processes["ember-controller"].pid
        reset_peak_rss(agent)
        before = cpu_seconds(agent), cpu_seconds(em), sum(os.times()[2:4]), bytes_read(agent)
        start = time.monotonic()
        output = "".join([self.ember(*arguments) for arguments in calls])
        wall = time.monotonic() - start
        cpu = cpu_seconds(agent) - before[0] + sum(os.times()[2:4]) - before[2]
        return Measure(wall, cpu, peak_rss(agent), cpu_seconds(em) - before[1], bytes_read(agent) - before[3], output)


class Ember:
    name = "ember"

    def __init__(self, programs, vault=None, policy=None):
        """`vault` and `policy`: see Estate.apply."""
        self._programs, self._vault, self._policy = programs, vault, policy

    def available(self):
        return all(os.access(os.path.join(self._programs, name), os.X_OK) for name in ("ember", "ember-agent", "ember-controller"))

    def version(self):
        return "ember " + subprocess.run([os.path.join(self._programs, "ember-agent"), "--version"], text=True, check=True,
                                         stdout=subprocess.PIPE).stdout.strip()

    @contextlib.contextmanager
    def open(self, directory, tree, **others):
        """`others`: names of further workloads, and their trees."""
        with Estate(self._programs, directory) as estate:
            estate.apply(*({"name": name, "sources": [{"files": {"paths": [path]}}], "service": "none"}
                           for name, path in {"tree": tree, **others}.items()), vault=self._vault, policy=self._policy)
            yield EmberSession(estate)


class EmberSession:
    def __init__(self, estate):
        self.estate, self._backups = estate, []
        self.repository = os.path.join(estate.directory, "vault")

    def backup(self):
        measure = self.estate.measure("backup", "run", "tree")
        self._backups.append(measure.output.strip())
        return measure

    def backups(self):
        """The ids of those that `backup` made, oldest first."""
        return list(self._backups)

    def restore(self, target, backup="tree@latest", path=None):
        """Of one path, or of everything."""
        return self.estate.measure("restore", backup, "--to", f"here:{target}", *(["--path", path] if path else []), "--yes")

    def restored_tree(self, target):
        return target

    def delete(self, backups):
        """One by one: there is no verb for many."""
        measure = self.estate.measure_calls([("backup", "delete", each, "--yes") for each in backups])
        self._backups = [each for each in self._backups if each not in backups]
        return measure

    def collect(self):
        return self.estate.measure("vault", "gc", "local", "--empty-trash", "--yes")

    def repository_bytes(self):
        return size_on_disk(self.repository)


def measure_restart(programs, work, runs):
    """Seconds from kill -9 of an exec service until its successor runs and the controller, told of the restart, says
    that it is healthy. Each run in an estate of its own: who dies again and again is restarted later and later."""
    return [one_restart(programs, tempfile.mkdtemp(prefix="run-restart-", dir=work)) for _ in range(runs)]


def one_restart(programs, directory):
    pid_file = os.path.join(directory, "pid")
    os.makedirs(os.path.join(directory, "data"))

    def pid():
        try:
            with open(pid_file) as file:
                return int(file.read())
        except (OSError, ValueError):
            return None

    try:
        with open(os.path.join(directory, "data", "file"), "w") as file:
            file.write("something\n")
        with Estate(programs, directory) as estate:
            def healthy():
                workload = estate.json("workload", "show", "tree")
                return workload["state"] == "RUNNING"

            def restarts():
                return sum(event["type"] == "workload.restarted" for event in estate.json("events", "--since", "1h")["items"])

            estate.apply({"sources": [{"files": {"paths": [os.path.join(directory, "data")]}}],
                          "service": {"exec": {"command": ["/bin/sh", "-c", f"echo $$ > '{pid_file}'; exec sleep 1000000"]}},
                          "health": {"process": True, "every": "1s", "failures": 3}})
            wait_for(lambda: pid() and healthy(), 60, "the service")
            old, start = pid(), time.monotonic()
            os.kill(old, signal.SIGKILL)
            wait_for(lambda: pid() not in (old, None), 60, "another process")
            wait_for(restarts, 60, "the news at the controller")
            wait_for(healthy, 60, "a healthy service")
            return time.monotonic() - start
    finally:
        shutil.rmtree(directory, ignore_errors=True)
