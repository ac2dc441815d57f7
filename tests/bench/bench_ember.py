"""Ember: a controller and an agent on loopback, a vault that the agent serves."""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from bench_measure import Measure, size_on_disk


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
            sys.exit(f"waited {seconds} s in vain: {what}")
        time.sleep(0.02)


class Estate:
    """A controller, an agent named `here`, and one workload named `tree`; stopped at the end of `with`."""

    def __init__(self, programs, directory):
        self._programs, self.directory, self._processes = programs, directory, {}
        self._em = f"127.0.0.1:{free_port()}"
        self._environment = dict(os.environ, EMBER_EM=self._em, EMBER_IDENTITY=os.path.join(directory, "em", "admin"))

    def __enter__(self):
        try:
            self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
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
        self._start("ember-agent", "--state-dir", agent, "--name", "here", "--listen", f"127.0.0.1:{free_port()}")
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
            sys.exit(f"{name} {' '.join(arguments)}: exit code {result.returncode}\n{result.stderr}")
        return result.stdout

    def ember(self, *arguments):
        return self._call("ember", *arguments)

    def json(self, *arguments):
        return json.loads(self.ember("--json", *arguments))

    def apply(self, workload):
        estate = {"vaults": [{"name": "local", "node": "here", "path": os.path.join(self.directory, "vault")}],
                  "policies": [{"name": "by-hand", "schedule": "*-*-* 03:00", "keep": {"last": 5}, "vaults": ["local"]}],
                  "workloads": [{"name": "tree", "node": "here", "policies": ["by-hand"], **workload}]}
        path = os.path.join(self.directory, "estate.json")
        with open(path, "w") as file:
            json.dump(estate, file)
        self.ember("apply", "-f", path, "--yes")

    def measure(self, *arguments):
        """Runs an `ember` command that waits for the agent; CPU is the agent's and the command's own."""
        agent, em = self._processes["ember-agent"].pid, self._processes["ember-controller"].pid
        reset_peak_rss(agent)
        before = cpu_seconds(agent), cpu_seconds(em), sum(os.times()[2:4])
        start = time.monotonic()
        self.ember(*arguments)
        wall = time.monotonic() - start
        cpu = cpu_seconds(agent) - before[0] + sum(os.times()[2:4]) - before[2]
        return Measure(wall, cpu, peak_rss(agent), cpu_seconds(em) - before[1])


class Ember:
    name = "ember"

    def __init__(self, programs):
        self._programs = programs

    def available(self):
        return all(os.access(os.path.join(self._programs, name), os.X_OK) for name in ("ember", "ember-agent", "ember-controller"))

    def version(self):
        return "ember " + subprocess.run([os.path.join(self._programs, "ember-agent"), "--version"], text=True, check=True,
                                         stdout=subprocess.PIPE).stdout.strip()

    @contextlib.contextmanager
    def open(self, directory, tree):
        with Estate(self._programs, directory) as estate:
            estate.apply({"sources": [{"files": {"paths": [tree]}}], "service": "none"})
            yield EmberSession(estate)


class EmberSession:
    def __init__(self, estate):
        self._estate = estate

    def backup(self):
        return self._estate.measure("backup", "run", "tree")

    def restore(self, target):
        return self._estate.measure("restore", "tree@latest", "--to", f"here:{target}", "--yes")

    def restored_tree(self, target):
        return target

    def repository_bytes(self):
        return size_on_disk(os.path.join(self._estate.directory, "vault"))


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
