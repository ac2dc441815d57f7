"""Random faults on four real hosts, one after the other, while backups are made and messages are sent.

    EMBER_BIN=build/bin python3 tests/e2e/soak_test.py                    9 faults, one of each kind: a ctest
    EMBER_BIN=build/bin EMBER_LONG=1 python3 tests/e2e/soak_test.py       120 faults, some on top of another
    EMBER_SOAK_SEED=n EMBER_SOAK_FAULTS=n ...                             the same faults again; as many as one likes
    EMBER_SOAK_HOSTS=nspawn ...                                           each host a container that boots systemd

A seed tells which faults, in which order and for how long; what they hit depends on the time. Each is healed after a while,
and then all must be well again, by itself or by what Ember tells a person to type. Three exclusive services move among the
hosts: `store` and `ledger` with their data, which come out of backups, and `front`, which needs `store`. They tell of a
double run themselves (soak_workload.py), not Ember. In the end: nothing ran twice, every recovery is DONE, or ESCALATED for a
reason that the faults explain, each acknowledged backup verifies, each acknowledged message came once and in order.
"""
import collections
import contextlib
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import threading
import time

import nspawn
from estate import (DONE, HERE, SHORT_TIMES, SKIPPED, Estate, Failure, check, check_equal, exec_service, files, instant,
                    run, small_disk, step, wait_for)
from soak_faults import SILENT, Faults, plan
from soak_workload import Witness, processes

LONG = "EMBER_LONG" in os.environ
FAULTS = int(os.environ.get("EMBER_SOAK_FAULTS", 120 if LONG else 9))
HOSTS = os.environ.get("EMBER_SOAK_HOSTS", "namespaces")
SEED = int(os.environ.get("EMBER_SOAK_SEED", random.randrange(1000000) if LONG else 4))

# From the fault that needs it most: two hosts are away at once, the estate freezes, thaws, and then restores a chain.
SETTLE_SECONDS = 300
# What Ember tries again by itself is left to it for so long after everything was healed.
PATIENCE_SECONDS = 15
# Well within the lease: a service does not notice that its agent is away.
WITHOUT_AGENT_SECONDS = 6
WAYS_OF_A_PERSON = 4  # tries per workload and fault

HOMES = {"store": ("n1", ["n2", "n3"]), "front": ("n2", ["n3", "n1"]), "ledger": ("n3", ["n4", "n1"])}
NEEDS = {"front": ["store"]}
WITH_DATA = ("store", "ledger")
UNITS = {name: f"ember-e2e-{name}.service" for name in WITH_DATA}  # where the hosts have a systemd
WEB_PORT = 8080
GIVEN_UP = ("ESCALATED", "QUARANTINED")
ENDED = ("DONE", "ESCALATED", "CANCELLED")


# --- the estate ------------------------------------------------------------------------------------------------------

def new_estate():
    names = ["n1", "n2", "n3", "n4"]
    if HOSTS == "namespaces":
        return Estate(names, isolated=True)
    check_equal(HOSTS, "nspawn", "EMBER_SOAK_HOSTS")
    estate = nspawn.NspawnEstate(names)
    for name, unit in UNITS.items():
        estate.units[unit] = f"[Service]\nExecStart={shlex.join(command_line(estate, name))}\n"
    return estate


def command_line(estate, name):
    data = [f"{estate.srv}/{name}"] if name in WITH_DATA else []
    return [sys.executable, f"{HERE}/soak_workload.py", name, estate.shared, f"{estate.srv}/name", *data]


def service_of(estate, name):
    if HOSTS == "nspawn" and name in UNITS:
        return {"systemd": UNITS[name]}
    return exec_service(*command_line(estate, name))


def describe(estate):
    n4 = estate.nodes["n4"]
    probe = {"every": "1s", "failures": 3}
    exclusive = [{
        "name": name, "node": node, "depends_on": NEEDS.get(name, []), "service": service_of(estate, name),
        "health": {"process": True, **probe},
        "recovery": {"mode": "automatic", "class": "exclusive", "standby": standby},
        **({"policies": ["daily"], "sources": files(f"{estate.srv}/{name}")} if name in WITH_DATA else {})}
        for name, (node, standby) in HOMES.items()]
    web = {"name": "web", "node": "n4",
           "service": exec_service(sys.executable, "-m", "http.server", str(WEB_PORT), directory=estate.srv),
           "health": {"http": f"http://127.0.0.1:{WEB_PORT}/name", **probe},
           "recovery": {"mode": "automatic", "class": "stateless", "standby": ["n1", "n2"]}}
    return {"vaults": [{"name": "nas", "node": "n4", "path": f"{n4.directory}/vault"}],
            "policies": [{"name": "daily", "schedule": "*-*-* 07:00", "vaults": ["nas"]}],
            "workloads": [*exclusive, web], "settings": SHORT_TIMES}


def small_disks(estate):
    """What is to be filled has a file system of its own: the room of everybody else stays."""
    small_disk(estate.em_state, 256)
    small_disk(f"{estate.work}/n4/vault", 512)
    for name in ("n1", "n2", "n3", "n4"):
        small_disk(f"{estate.work}/{name}/state", 48)
        small_disk(f"{estate.work}/{name}/srv", 64)


def make_data(estate):
    for node in estate.nodes.values():
        with open(f"{node.srv}/name", "w") as file:
            file.write(node.name)
    for name in WITH_DATA:
        directory = f"{estate.nodes[HOMES[name][0]].srv}/{name}"
        os.mkdir(directory)
        with open(f"{directory}/count", "w") as file:
            file.write("0")


# --- what goes on meanwhile ------------------------------------------------------------------------------------------

class Load(threading.Thread):
    """Does its turn again and again, whatever happens; an error of its own is kept for whoever joins it."""

    def __init__(self, estate):
        super().__init__()
        self.estate, self.over, self.error = estate, threading.Event(), None

    def run(self):
        try:
            while not self.over.wait(1):
                self.turn()
        except BaseException as error:
            self.error = error

    def ember(self, *arguments, seconds=30):
        """Its answer, or None when it has none by then."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.estate.ember(*arguments, check_code=None, seconds=seconds)

    def look(self):
        if self.error is not None:
            raise self.error

    def end(self):
        self.over.set()
        self.join()
        self.look()


class Backups(Load):
    """Of a service. Of what is acknowledged it remembers when, and from where on the data may lack nothing."""

    def __init__(self, estate, workload):
        super().__init__(estate)
        self.workload = workload
        self.witness = Witness(estate.shared, [workload])
        self.made, self.refused = [], 0  # (id, number that is in it or None, when)

    def turn(self):
        before = self.newest()
        answer = self.ember("backup", "run", self.workload, "--json", seconds=60)
        if answer is None or answer.code != DONE:
            self.refused += 1
            return
        check_equal((answer.json["outcome"], answer.json["verified"]), ("OK", True), "a backup that was acknowledged")
        # What a moved service is started on is told apart from what it had before.
        same = before.identity == self.newest().identity
        self.made.append((answer.json["id"], before.counted if same else None, time.time()))
        self.over.wait(5)

    def newest(self):
        self.witness.read()
        return self.witness.logs[self.workload].last


class Messages(Load):
    """Sends numbers one way through the agent of n4 and one to the controller, and takes some of them meanwhile."""

    def __init__(self, estate):
        super().__init__(estate)
        agent = estate.nodes["n4"]
        self.ways = {"store": ["--agent", f"n4@{agent.listen}"], "ledger": []}
        self.sent = {to: 0 for to in self.ways}
        self.again = 0
        self.received = {to: [] for to in self.ways}
        self.unconfirmed = {to: None for to in self.ways}
        self.turns = 0

    def turn(self):
        self.turns += 1
        for to in self.ways:
            self.send(to)
            if self.turns % 3:
                self.receive(to)

    def send(self, to):
        """The next one once this one is acknowledged; until then the same one again, under its id."""
        number = self.sent[to]
        answer = self.ember("message", "send", to, f"number {number}", "--id", f"{to}-{number}", "--timeout", "3",
                            *self.ways[to])
        done = answer is not None and answer.code == DONE
        self.sent[to] += done
        self.again += not done
        return done

    def receive(self, to):
        """Whether there was one. One that could not be confirmed may come again, or not."""
        answer = self.ember("message", "receive", to, "--timeout", "3")
        check(answer is not None, "`ember message receive --timeout 3` has no answer after 30 s")
        text = answer.out.strip()
        if text and text != self.unconfirmed[to]:
            self.received[to].append(text)
        if text:
            self.unconfirmed[to] = text if answer.code != DONE else None
        return text != ""

    def check_all_came(self):
        for to in self.ways:
            wait_for(lambda: self.send(to), 30, f"the last message to {to} is acknowledged")
            wait_for(lambda: not self.receive(to) and len(self.received[to]) >= self.sent[to], 120,
                     f"{self.sent[to]} messages to {to} arrive", pause=0.01)
            check_equal(self.received[to], [f"number {n}" for n in range(self.sent[to])], f"what came to {to}")


# --- what must come of it --------------------------------------------------------------------------------------------

def number_of(recovery):
    return int(recovery["id"][len("r-"):])


def is_flapping(recovery):
    return "(flapping)" in recovery["message"]


def explained(recovery, kinds, recoveries, forgiven):
    """Whether the faults of this round are a reason for a recovery to be given up."""
    why = " ".join([recovery["message"], *recovery["diagnostics"]])
    if is_flapping(recovery):
        same = [each for each in recoveries if each["workload"] == recovery["workload"]]
        return sum(number_of(each) > forgiven for each in same) > 3
    if re.search(r"its dependency \S+ could not be recovered", recovery["message"]):
        return any(r["workload"] in NEEDS[recovery["workload"]] and r["state"] == "ESCALATED" for r in recoveries)
    if re.search("no space left|disk full", why, re.IGNORECASE):
        return "fill_disk" in kinds
    if re.search("the vault 'nas' .* which is not ALIVE", recovery["message"]):
        return any(kind in SILENT for kind in kinds)
    several_hosts = sum(kind in SILENT for kind in kinds) > 1
    return several_hosts and re.search("no standby node is ALIVE|nothing proves that it stopped", recovery["message"])


def heard_since(status, when):
    return status is not None and all(instant(node["last_beat"]) > when for node in status["nodes"])


class Person:
    """Types what Ember says about a recovery that was given up; when that only shows something, starts the service."""

    def __init__(self, estate, healed):
        self.estate, self.healed = estate, healed
        self.typed = []

    def help(self, workloads):
        for name in (*HOMES, "web"):  # what others need goes first
            workload = next(each for each in workloads if each["name"] == name)
            if workload["state"] not in GIVEN_UP or time.time() < self.healed + PATIENCE_SECONDS:
                continue
            tried = [each for each in self.typed if each[0] == name]
            check(len(tried) < WAYS_OF_A_PERSON, f"{name} is given up again and again: {tried}, {workload}")
            words = shlex.split(workload["next_command"])
            check(words[:1] == ["ember"], f"what to type about {name}: {workload['next_command']}")
            if tried and tried[-1][1] == words:
                words = ["ember", "workload", "restart", name]
            self.typed.append((name, words))
            self.estate.ember(*words[1:], *(["--yes"] if words[1] == "restore" else []), check_code=None)
            return True
        return False


class Soak:
    def __init__(self, estate, dice):
        self.estate, self.dice = estate, dice
        self.witness = Witness(estate.shared, HOMES)
        self.faults = Faults(estate, dice, HOMES)
        self.messages = Messages(estate)
        self.backups = {name: Backups(estate, name) for name in WITH_DATA}
        self.loads = [self.messages, *self.backups.values()]
        self.known = {}  # recoveries that have ended, by id
        self.forgiven = collections.Counter()  # by workload: the last recovery before a person let it go on
        self.counts = collections.Counter()
        self.typed = []
        self.slowest = 0

    def last(self, seconds):
        """For so long things stay as they are; what the services say meanwhile is read."""
        until = time.monotonic() + seconds

        def over():
            self.witness.read()
            for load in self.loads:
                load.look()
            return time.monotonic() >= until

        wait_for(over, seconds + 60, "the fault has lasted", pause=min(0.2, max(0.01, seconds)))

    def round(self, number, fault):
        kinds = [each.kind for each in (fault, fault.companion) if each]
        # Whoever holds a lease runs on without the controller, and without its agent for a moment.
        undisturbed = kinds == ["kill_controller"] or (kinds == ["kill_agent"] and fault.seconds < 3)
        if undisturbed:
            self.wait_leased()
            self.wait_well("every host has a lease")  # one whose lease had ended meanwhile has stopped what it had
        began, lives = time.time(), self.lives()
        with self.faults.strike(fault) as text:
            self.last(fault.seconds / 2 if fault.companion else fault.seconds)
            if fault.companion:
                with self.faults.strike(fault.companion) as other:
                    self.last(fault.companion.seconds)
                text += f", and meanwhile {other}"
                self.last(fault.seconds / 2)
            text += self.seen(fault)
        healed = time.time()
        person = self.wait_well(text)
        took = time.time() - healed
        self.slowest = max(self.slowest, took)
        self.counts.update(kinds)
        # On a busy machine it may take longer to start an agent again than the lease of its host lasts.
        if undisturbed and (kinds == ["kill_controller"] or healed - began < WITHOUT_AGENT_SECONDS):
            check_equal(self.lives(), lives, f"the lives of the services, after {text}")
        typed = "".join(f"; typed: {shlex.join(words)}" for _, words in person.typed)
        step(f"fault {number}: {text}; healed after {healed - began:.1f} s, well {took:.1f} s later{self.news(kinds)}{typed}")

    def wait_well(self, what):
        """Whoever has helped with it."""
        person = Person(self.estate, time.time())
        wait_for(lambda: self.well(person), SETTLE_SECONDS, f"all is well after {what}")
        self.typed += person.typed
        return person

    def wait_leased(self):
        """A beat that was underway while its link was cut may have had no answer; the next one has when another follows it."""
        for _ in range(2):
            now = time.time()
            wait_for(lambda: heard_since(self.status(), now), 30, "every host is heard again")

    def seen(self, fault):
        """How Ember sees the hosts that are hit. It must have noticed, also when it was just started itself."""
        states = {name: self.estate.node(name)["state"] for name in self.faults.hit}
        noticed = fault.kind not in SILENT or fault.companion or fault.seconds < 25 or "ALIVE" not in states.values()
        check(noticed, f"{fault} hit nothing: {states}")
        return f" ({', '.join(states.values())})" if states else ""

    def lives(self):
        self.witness.read()
        return {name: log.last.identity for name, log in self.witness.logs.items()}

    def well(self, person):
        """Every host is heard, each service runs, once, where Ember says it does, and nobody is asked for anything."""
        self.last(0)
        speaking = all(self.witness.speaks(name) for name in HOMES)  # asked at once: what follows may take seconds
        self.check_running()
        status = self.status()
        # A controller that was just started takes nobody for silent: that is not enough.
        if not heard_since(status, person.healed) or status["em"]["frozen"]:
            return False
        if any(node["state"] != "ALIVE" for node in status["nodes"]):
            return False
        if person.help(status["workloads"]) or status["recoveries"]:
            return False
        places = {each["name"]: each["node"] for each in status["workloads"] if each["state"] == "RUNNING"}
        return speaking and len(places) == len(status["workloads"]) and all(
            [node.name for node, _ in processes(self.estate, name)] == [places[name]] for name in HOMES)

    def status(self):
        """None while the controller does not answer."""
        answer = self.estate.ember("status", "--json", check_code=None)
        return answer.json if answer.code == DONE else None

    def check_running(self):
        """Whatever was started by this test has not ended by itself."""
        check(self.estate.em.running(), f"the controller ended by itself: {self.estate.em.popen.returncode}")
        for node in self.estate.nodes.values():
            node.check_agent()

    def news(self, kinds):
        """The recoveries since the last round: each has ended, and well, or for a reason."""
        recoveries = sorted(self.estate.ask("recovery", "list")["items"], key=number_of)
        text = ""
        for recovery in recoveries:
            if recovery["id"] in self.known:
                continue
            what = f"{recovery['id']} of {recovery['workload']} {recovery['node']} -> {recovery['target']}"
            check(recovery["state"] in ENDED, f"{what} is {recovery['state']}")
            given_up = recovery["state"] == "ESCALATED"
            check(not given_up or explained(recovery, kinds, recoveries, self.forgiven[recovery["workload"]]),
                  f"{what} was given up, after {kinds}: {recovery}")
            self.known[recovery["id"]] = recovery
            if given_up and is_flapping(recovery):
                self.forgive(recovery["workload"], number_of(recoveries[-1]))
            text += f"; {what}: {recovery['state']} in {recovery['total_seconds']:.0f} s"
            text += f" ({recovery['message']})" if given_up else ""
        return text

    def forgive(self, workload, number):
        """This test kills more often than what does so by itself is recovered: the next death is one like the first."""
        self.estate.ember("workload", "release", workload)
        self.forgiven[workload] = number

    # --- in the end

    def check_restored(self):
        """What a service was started on is no older than any backup that was acknowledged before it was restored."""
        checked = 0
        for recovery in self.known.values():
            times = {each["state"]: instant(each["time"]) for each in recovery["steps"]}
            failed = any("failed" in each["message"] for each in recovery["steps"])
            if failed or recovery["state"] != "DONE" or not {"RESTORING", "STARTING"} <= set(times):
                continue
            starts = [line for line in self.witness.logs[recovery["workload"]].starts if line.time > times["STARTING"]]
            least = max((number for _, number, when in self.backups[recovery["workload"]].made
                         if number is not None and when < times["RESTORING"]), default=0)
            check(starts and starts[0].counted >= least,
                  f"{recovery['workload']} began with {starts[:1]}, but {least} was backed up before {recovery}")
            checked += 1
        return checked

    def check_order(self):
        """No recovery starts a service while one of what it needs is under way."""
        for recovery in self.known.values():
            for began in [instant(each["time"]) for each in recovery["steps"] if each["state"] == "STARTING"]:
                for other in self.known.values():
                    check(other["workload"] not in NEEDS.get(recovery["workload"], []) or
                          not instant(other["started"]) < began < instant(other["ended"]),
                          f"{recovery['id']} started {recovery['workload']} during {other['id']} of {other['workload']}")

    def check_backups(self):
        for name, backups in self.backups.items():
            check(backups.made, f"no backup of {name} was acknowledged")
            listed = {backup["id"]: backup for backup in self.estate.backups(name)}
            for backup, *_ in backups.made:
                found = listed.get(backup)
                check(found is not None and found["outcome"] == "OK", f"{backup} was acknowledged: {found}")
                self.estate.ember("backup", "verify", backup)
            step(f"{name}: {len(backups.made)} backups acknowledged, {backups.refused} refused: each verifies")
        self.estate.ember("vault", "check", "nas", "--read-data")

    def check_stops(self):
        """Everything ends when it is told to, and nothing is left."""
        check_equal(self.estate.em.kill(signal.SIGTERM), 0, "exit code of the controller after SIGTERM")
        for node in self.estate.nodes.values():
            node.stop_agent()
            check_equal(node.down(), 0, f"exit code of `ember-agent down` on {node.name}")
            node.halt()
        for space in self.estate.spaces:
            wait_for(lambda: space.pids() == [], 10, f"nothing runs in {space.name}")
        self.witness.read()
        for name, log in self.witness.logs.items():
            check_equal(log.last.what, "stop", f"the last word of {name}")


def begin(estate):
    make_data(estate)
    estate.apply(describe(estate))
    estate.wait_running(*HOMES, "web")
    for name in WITH_DATA:
        estate.backup(name)
    step("the services run and are backed up")


def finish(soak):
    for load in soak.loads:
        load.end()
    soak.news([])
    states = collections.Counter(each["state"] for each in soak.known.values())
    step(f"{sum(soak.counts.values())} faults: {dict(soak.counts)}; the slowest was well again after {soak.slowest:.0f} s")
    step(f"{len(soak.known)} recoveries: {dict(states)}; a person typed {len(soak.typed)} commands")
    for name, log in soak.witness.logs.items():
        hosts = dict(collections.Counter(line.host for line in log.starts))
        step(f"{name}: {len(log.starts)} lives, on {hosts}, never two at once")
    soak.check_order()
    step(f"{soak.check_restored()} services were started on restored data, which lacked nothing that was backed up")
    soak.messages.check_all_came()
    step(f"{soak.messages.sent} messages, {soak.messages.again} sent again: each once and in order")
    soak.check_backups()
    soak.estate.ember("log", "verify")
    soak.check_stops()
    step("everything ended when it was told to")


def test():
    reason = nspawn.why_not() if HOSTS == "nspawn" else None
    if reason:
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    dice = random.Random(SEED)
    step(f"EMBER_SOAK_SEED={SEED} EMBER_SOAK_FAULTS={FAULTS} EMBER_SOAK_HOSTS={HOSTS}")
    estate = new_estate()
    small_disks(estate)
    with estate:
        begin(estate)
        soak = Soak(estate, dice)
        for load in soak.loads:
            load.start()
        try:
            for number, fault in enumerate(plan(dice, FAULTS), 1):
                soak.round(number, fault)
        finally:
            for load in soak.loads:
                load.over.set()
                load.join()
        finish(soak)


run(test, limit_seconds=360 + 45 * FAULTS)
