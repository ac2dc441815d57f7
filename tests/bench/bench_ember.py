"""Ember: a controller and an agent on loopback, a vault that the agent, or a second one, serves."""
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
    """A controller, an agent named `here`, with `vault_agent` another one, `store`, that serves the vault, and one
    workload named `tree`; stopped at the end of `with`."""

    def __init__(self, programs, directory, vault_agent=False):
        self._programs, self.directory, self._processes = programs, directory, {}
        self._em = f"127.0.0.1:{free_port()}"
        self._nodes = ("here", "store") if vault_agent else ("here",)
        self._ports, self._begun = {name: free_port() for name in self._nodes}, []
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
            if name in self._nodes:
                self._call("ember-agent", "down", "--state-dir", self._state(name))

    def _state(self, node):
        return os.path.join(self.directory, f"agent-{node}")

    def _begin(self):
        em = os.path.join(self.directory, "em")
        self._call("ember-controller", "--state-dir", em, "--listen", self._em, "init", "--no-install")
        self._start("em", "ember-controller", "--state-dir", em, "--listen", self._em)
        wait_for(lambda: self._try("ember", "status"), 30, "the controller")
        for node in self._nodes:
            token = self._call("ember", "node", "token", node, "--em-address", self._em).strip()
            self._call("ember-agent", "join", token, "--state-dir", self._state(node))
            self._start(node, "ember-agent", "--state-dir", self._state(node), "--name", node, "--listen",
                        f"127.0.0.1:{self._ports[node]}")
        for node in self._nodes:
            wait_for(lambda: self.json("node", "show", node)["state"] == "ALIVE", 30, f"agent {node}")

    def _start(self, name, program, *arguments):
        with open(os.path.join(self.directory, name + ".log"), "ab") as log:
            self._processes[name] = subprocess.Popen([os.path.join(self._programs, program), *arguments], stdin=subprocess.DEVNULL,
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
    def agents(self):
        """Processes: the one that backs up, and where it is another one that which serves the vault."""
        return [self._processes[node].pid for node in self._nodes]

    @property
    def vault_port(self):
        return self._ports[self._nodes[-1]]

    def apply(self, *workloads, vault=None, policy=None):
        """`vault` and `policy`: what these say beside what they must."""
        estate = {"vaults": [{"name": "local", "node": self._nodes[-1], "path": os.path.join(self.directory, "vault"), **(vault or {})}],
                  "policies": [{"name": "by-hand", "vaults": ["local"], **(POLICY if policy is None else policy)}],
                  "workloads": [{"name": "tree", "node": "here", "policies": ["by-hand"], **each} for each in workloads]}
        path = os.path.join(self.directory, "estate.json")
        with open(path, "w") as file:
            json.dump(estate, file)
        self.ember("apply", "-f", path, "--yes")

    def measure(self, *arguments):
        """Runs an `ember` command that waits for the agent; CPU is the agents' and the command's own."""
        return self.measure_calls([arguments])

    def measure_calls(self, calls):
        """The same of several commands, one after the other."""
        agents, em = self.agents, self._processes["em"].pid

        def used():
            return sum(cpu_seconds(agent) for agent in agents), cpu_seconds(em), sum(os.times()[2:4]), sum(map(bytes_read, agents))
        for agent in agents:
            reset_peak_rss(agent)
        before = used()
        start = time.monotonic()
        output = "".join([self.ember(*arguments) for arguments in calls])
        wall = time.monotonic() - start
        cpu, em_cpu, own, read = (after - earlier for after, earlier in zip(used(), before))
        return Measure(wall, cpu + own, peak_rss(agents[0]), em_cpu, read, peak_rss(agents[1]) if len(agents) > 1 else None, output)


class Ember:
    name = "ember"

    def __init__(self, programs, vault=None, policy=None, vault_agent=False):
        """`vault` and `policy`: see Estate.apply; `vault_agent`: see Estate."""
        self._programs, self._vault, self._policy, self._vault_agent = programs, vault, policy, vault_agent

    def available(self):
        return all(os.access(os.path.join(self._programs, name), os.X_OK) for name in ("ember", "ember-agent", "ember-controller"))

    def version(self):
        return "ember " + subprocess.run([os.path.join(self._programs, "ember-agent"), "--version"], text=True, check=True,
                                         stdout=subprocess.PIPE).stdout.strip()

    @contextlib.contextmanager
    def open(self, directory, tree, **others):
        """`others`: names of further workloads, and their trees."""
        with Estate(self._programs, directory, self._vault_agent) as estate:
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
