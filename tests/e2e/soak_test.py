"""Random faults on four real hosts, one after the other, while backups are made and messages are sent.

    EMBER_BIN=build/bin EMBER_SOAK_FAULTS=120 EMBER_SOAK_SEED=7 python3 tests/e2e/soak_test.py

As one of the ctests: 10 faults. A seed tells which faults, in which order; what they hit depends on the time. Three exclusive workloads move among the nodes n1, n2, n3; n4 holds the vault. The workloads themselves tell of a double run,
not Ember: each takes a lock in a directory that all hosts share for as long as it lives, and says "I run" every 50 ms.
In the end everything is healed, and then: nothing ran twice, every recovery is DONE or ESCALATED, each acknowledged backup
verifies, each acknowledged message arrives once and in order.
"""
import contextlib
import os
import random
import signal
import sys
import threading
import time

from estate import (DONE, SHORT_TIMES, Estate, Failure, alive, check, check_equal, exec_service, files, kill, run, step,
                    wait_for)
from speaker import check_never_two, words

FAULTS = int(os.environ.get("EMBER_SOAK_FAULTS", "10"))
SEED = int(os.environ.get("EMBER_SOAK_SEED", "1"))
# From the fault that needs it most: a host that dies, is judged dead, is fenced, and whose chain of three is restored.
SETTLE_SECONDS = 240
HOMES = {"first": ("n1", ["n2", "n3"]), "second": ("n2", ["n3", "n1"]), "third": ("n3", ["n1", "n2"])}
NEEDS = {"first": [], "second": ["first"], "third": ["second"]}

# Says so when another one of its name holds the lock; goes on, as a database that does not know better would.
WORKLOAD = """
import fcntl, json, os, sys, time
shared, name_file = sys.argv[1], sys.argv[2]
node = open(name_file).read().strip()
lock = open(shared + ".lock", "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    with open(shared + ".twice", "a") as twice:
        twice.write(f"{node} {time.monotonic()}\\n")
words = open(shared, "a", buffering=1)
while True:
    words.write(json.dumps([time.monotonic(), node, os.getpid()]) + "\\n")
    time.sleep(0.05)
"""


def describe(estate, script):
    n4 = estate.nodes["n4"]
    return {
        "vaults": [{"name": "nas", "node": "n4", "path": f"{n4.directory}/vault"}],
        "policies": [{"name": "daily", "schedule": "*-*-* 07:00", "vaults": ["nas"]}],
        "workloads": [{
            "name": name, "node": node, "policies": ["daily"], "depends_on": NEEDS[name],
            "sources": files(f"{estate.srv}/{name}"),
            "service": exec_service(sys.executable, script, f"{estate.work}/{name}", f"{estate.srv}/name"),
            "health": {"process": True, "every": "1s", "failures": 3},
            "recovery": {"mode": "automatic", "class": "exclusive", "standby": standby}}
            for name, (node, standby) in HOMES.items()] +
        # Whose messages n4 may send.
        [{"name": "teller", "node": "n4", "service": {"none": {}}}],
        "settings": SHORT_TIMES}


class Load(threading.Thread):
    """Backs up and sends in turn, whatever happens; what is acknowledged is remembered."""

    def __init__(self, estate):
        super().__init__()
        self.estate, self.ended = estate, threading.Event()
        self.backups, self.sent, self.refused = [], 0, 0

    def run(self):
        names, turn = list(HOMES), 0
        while not self.ended.wait(1):
            turn += 1
            with contextlib.suppress(Exception):  # whoever is away is asked again
                if turn % 3 == 0:
                    self.back_up(names[turn // 3 % len(names)])
                else:
                    self.send()

    def back_up(self, workload):
        answer = self.estate.ember("backup", "run", workload, "--json", check_code=None, seconds=120)
        if answer.code == DONE:
            self.backups.append(answer.json["id"])
        else:
            self.refused += 1

    def send(self):
        agent = f"n4@{self.estate.nodes['n4'].listen}"
        answer = self.estate.ember("message", "send", "first", f"number {self.sent}", "--from", "teller", "--id",
                                   f"m{self.sent}", "--agent", agent, "--timeout", "3", check_code=None)
        if answer.code == DONE:
            self.sent += 1


class Storm:
    def __init__(self, estate):
        self.estate, self.dice = estate, random.Random(SEED)
        self.heal = []  # what the faults under way need to end, oldest first
        self.counts = {}

    def node(self, *names):
        return self.estate.nodes[self.dice.choice(names or ["n1", "n2", "n3", "n4"])]

    def strike(self):
        fault = self.dice.choice([self.kill_service, self.kill_service, self.kill_agent, self.kill_em, self.power_loss,
                                  self.power_loss, self.cut, self.cut, self.pause_agent, self.fill_disk])
        text = fault()
        self.counts[fault.__name__] = self.counts.get(fault.__name__, 0) + 1
        step(f"fault {sum(self.counts.values())}: {fault.__name__} {text}")

    def kill_service(self):
        node = self.node("n1", "n2", "n3")
        pids = node.pids("workload.py")
        luck = self.dice.random()
        if pids:
            kill(pids[int(luck * len(pids))])
        return f"{node.name}, {len(pids)} there"

    def kill_agent(self):
        node = self.node()
        if node.agent.running():
            node.kill_agent()
        self.heal.append(lambda: self.start(node))
        return node.name

    def start(self, node):
        if not node.agent.running():
            node.start()

    def kill_em(self):
        if self.estate.em.running():
            self.estate.kill_em()
        self.heal.append(lambda: self.estate.em.running() or self.estate.start_em())
        return ""

    def power_loss(self):
        node = self.node()
        if node.agent.running():
            node.kill_agent()
        for pid in node.space.pids():
            kill(pid)
        self.heal.append(lambda: self.start(node))
        return node.name

    def cut(self):
        node = self.node()
        node.cut()
        self.heal.append(node.heal)
        return node.name

    def pause_agent(self):
        node = self.node()
        pid = node.agent.pid
        if node.agent.running():
            kill(pid, signal.SIGSTOP)
        self.heal.append(lambda: kill(pid, signal.SIGCONT) if alive(pid) else None)
        return node.name

    def fill_disk(self):
        """One file takes all that is left, of every host's and the controller's disk at once."""
        path = os.path.join(self.estate.work, "filler")
        with contextlib.suppress(OSError):
            with open(path, "wb") as file:
                while True:
                    file.write(bytes(1 << 20))
        self.heal.append(lambda: os.path.exists(path) and os.remove(path))
        return ""

    def heal_one(self):
        if self.heal:
            self.heal.pop(0)()

    def heal_all(self):
        while self.heal:
            self.heal_one()


def ended(estate):
    items = estate.ask("recovery", "list")["items"]
    return [item for item in items if item["state"] not in ("DONE", "ESCALATED", "CANCELLED")] == []


def settled(estate):
    """Nothing is being recovered, and every workload runs or was given up."""
    with contextlib.suppress(Failure):
        states = [estate.workload(name)["state"] for name in HOMES]
        return ended(estate) and all(state in ("RUNNING", "ESCALATED", "QUARANTINED") for state in states) and states
    return None


def bring_back(estate):
    """What was given up is started by its owner, once what it waited for is well again."""
    for name in HOMES:
        if estate.workload(name)["state"] in ("ESCALATED", "QUARANTINED"):
            estate.ember("workload", "restart", name, check_code=None)


def check_messages(estate, sent):
    received = []

    def all_there():
        answer = estate.ember("message", "receive", "first", check_code=None)
        if answer.code == DONE:
            received.append(answer.out.strip())
        return len(received) >= sent and answer.code != DONE

    wait_for(all_there, 120, f"{sent} messages arrive", pause=0.01)
    check_equal(received[:sent], [f"number {n}" for n in range(sent)], "the messages that were acknowledged")
    # The last one may have been taken without an answer.
    check(len(received) <= sent + 1, f"{len(received)} messages of {sent}")


def test():
    with Estate(["n1", "n2", "n3", "n4"], isolated=True, in_memory=True) as estate:
        script = os.path.join(estate.work, "workload.py")
        with open(script, "w") as file:
            file.write(WORKLOAD)
        for node in estate.nodes.values():
            with open(f"{node.srv}/name", "w") as file:
                file.write(node.name)
        for name, (node, _) in HOMES.items():
            os.makedirs(f"{estate.nodes[node].srv}/{name}")
            with open(f"{estate.nodes[node].srv}/{name}/data", "w") as file:
                file.write(f"data of {name}\n" * 1000)
        estate.apply(describe(estate, script))
        estate.wait_running(*HOMES)
        for name in HOMES:
            estate.backup(name)
        load, storm = Load(estate), Storm(estate)
        load.start()
        try:
            for fault in range(FAULTS):
                storm.strike()
                # Long enough for some hosts to be taken for dead; the next one may come on top of it.
                time.sleep(storm.dice.uniform(2, 25))
                while len(storm.heal) > 2 or (storm.heal and storm.dice.random() < 0.35):
                    storm.heal_one()
                if fault % 10 == 9:
                    storm.heal_all()
                    states = wait_for(lambda: settled(estate), SETTLE_SECONDS, "everything has settled")
                    step(f"settled: {', '.join(states)}")
                    bring_back(estate)
            storm.heal_all()
            states = wait_for(lambda: settled(estate), SETTLE_SECONDS, "everything has settled")
        finally:
            load.ended.set()
            load.join()
        step(f"{FAULTS} faults: {storm.counts}; {states}; {len(load.backups)} backups, {load.sent} messages")
        for name in HOMES:
            twice = f"{estate.work}/{name}.twice"
            check(not os.path.exists(twice), f"{name} ran twice: {open(twice).read() if os.path.exists(twice) else ''}")
            step(f"{name}: {len(check_never_two(f'{estate.work}/{name}'))} lives, never two at once")
        recoveries = estate.ask("recovery", "list")["items"]
        by_state = {state: sum(item["state"] == state for item in recoveries) for state in ("DONE", "ESCALATED")}
        check_equal(sum(by_state.values()), len(recoveries), "recoveries that ended")
        check(words(f"{estate.work}/first"), "the workload has spoken")
        for backup in load.backups:
            estate.ember("backup", "verify", backup)
        check_messages(estate, load.sent)
        estate.ember("log", "verify")
        step(f"recoveries: {by_state}; every backup verified, every message once and in order")


run(test, limit_seconds=300 + FAULTS * 30 + (FAULTS // 10 + 1) * SETTLE_SECONDS)
