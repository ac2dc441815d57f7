"""Workloads that are moved although nothing died: by hand, from a drained node, back home; and what a node is left with.

The workload counts: it writes each number to its own data first, synced, and then says it, with the name of its node, into a
file that all nodes can write. So whatever is said must be in the data of its next instance, unless a death lost it; and then
it must be in the orphan backup of the node that died.
"""
import json
import os
import sys
import time

from estate import REFUSED, SHORT_TIMES, Estate, check, check_equal, exec_service, files, run, step, wait_for
from speaker import check_never_two

COUNTER = """
import json, os, sys, time
path, words, name = sys.argv[1], open(sys.argv[2], "a", buffering=1), open(sys.argv[3]).read().strip()
number = max([int(line) for line in open(path)] or [0]) if os.path.exists(path) else 0
data = open(path, "a")
while True:
    number += 1
    data.write(f"{number}\\n")
    data.flush()
    os.fsync(data.fileno())
    words.write(json.dumps([time.monotonic(), name, os.getpid(), number]) + "\\n")
    time.sleep(0.05)
"""


def said(words, node=None):
    with open(words) as file:
        lines = [json.loads(line) for line in file if line.endswith("\n")]
    return [number for _, name, _, number in lines if node in (None, name)]


def counted(path):
    with open(path) as file:
        return [int(line) for line in file if line.endswith("\n")]


def check_lives(words, path):
    """`speaker.check_never_two` reads words of three parts."""
    with open(words) as file, open(path, "w") as lives:
        for line in file:
            if line.endswith("\n"):
                lives.write(json.dumps(json.loads(line)[:3]) + "\n")
    return check_never_two(path)


def describe(estate, **recovery):
    n3 = estate.nodes["n3"]
    return {"vaults": [{"name": "nas", "node": "n3", "path": f"{n3.directory}/vault"}],
            "policies": [{"name": "daily", "schedule": "*-*-* 07:00", "vaults": ["nas"]}],
            "workloads": [
                {"name": "count", "node": "n1", "policies": ["daily"], "sources": files(f"{estate.srv}/count"),
                 "service": exec_service(sys.executable, f"{estate.work}/counter.py", f"{estate.srv}/count/numbers",
                                         f"{estate.work}/words", f"{estate.srv}/name"),
                 "health": {"process": True, "every": "1s", "failures": 3},
                 "recovery": {"mode": "automatic", "class": "exclusive", "standby": ["n2"], **recovery}},
                {"name": "fixed", "node": "n1", "service": {"none": {}}}],
            "settings": SHORT_TIMES}


class Moves:
    def __init__(self, estate):
        self.estate = estate
        self.words = f"{estate.work}/words"

    def data(self, node):
        return f"{self.estate.nodes[node].srv}/count/numbers"

    def speaks_on(self, node):
        before = len(said(self.words, node))
        wait_for(lambda: len(said(self.words, node)) > before, 30, f"it counts on {node}")

    def check_nothing_lost(self):
        """Each number was said once, in order."""
        numbers = said(self.words)
        check_equal(numbers, list(range(1, len(numbers) + 1)), "the numbers that were said")

    def by_hand(self):
        answer = self.estate.ember("workload", "move", "count", "n3", check_code=None)
        check_equal(answer.code, REFUSED, "exit code of a move to a node that is none of its own")
        answer.expect_text("n3 is not one of its nodes (n1, n2)", "standby")
        answer = self.estate.ember("workload", "move", "count", "n2")
        answer.expect_text("moved count to n2", "nothing is lost", "stopped by the agent of n1")
        self.speaks_on("n2")
        self.check_nothing_lost()
        check_equal(self.estate.workload("count").get("left", []), [], "what stayed behind and differs")
        move = self.estate.recoveries("count")[-1]
        check(move["planned"], f"planned: {move}")
        step(f"moved to n2 in {move['total_seconds']:.1f} s, nothing is lost")

    def cancelled(self):
        answer = self.estate.ember("workload", "move", "count", "--no-wait")
        self.estate.ember("recovery", "cancel", answer.out.strip())
        wait_for(lambda: self.estate.recoveries("count")[-1]["state"] in ("CANCELLED", "DONE"), 60, "its end")
        move = self.estate.recoveries("count")[-1]
        if move["state"] == "DONE":  # it was faster
            self.estate.ember("workload", "move", "count", "n2")
        self.estate.wait_running("count")
        self.speaks_on("n2")
        self.check_nothing_lost()
        step(f"a move was cancelled: {move['message']}")

    def drained(self):
        estate = self.estate
        answer = estate.ember("node", "drain", "n2", "--json").json
        check_equal([(item["workload"], item["target"]) for item in answer["items"]], [("count", "n1")], "the drain")
        wait_for(lambda: estate.workload("count")["node"] == "n1" and
                 estate.workload("count")["state"] == "RUNNING", 90, "n2 is empty")
        self.speaks_on("n1")
        self.check_nothing_lost()
        estate.ember("workload", "move", "count", "n2", check_code=REFUSED).expect_text("it is drained")
        estate.ember("node", "drain", "n2", "--off")
        answer = estate.ember("node", "drain", "n1", "--json").json
        stays = [item["reason"] for item in answer["items"] if item["workload"] == "fixed"]
        check(stays and "no standby" in stays[0], f"what stays: {answer}")
        estate.ember("node", "drain", "n1", "--off")
        wait_for(lambda: estate.workload("count")["state"] == "RUNNING", 90, "what the drain began has ended")
        if estate.workload("count")["node"] != "n1":
            estate.ember("workload", "move", "count")
        step("n2 was drained")

    def orphan(self):
        """The home dies with numbers that are in no backup."""
        estate = self.estate
        estate.backup("count")
        backed_up = len(said(self.words))
        wait_for(lambda: len(said(self.words)) > backed_up + 20, 20, "numbers that are in no backup")
        on_n2 = len(said(self.words, "n2"))
        estate.nodes["n1"].lose_power()
        last = said(self.words)[-1]
        recovered = wait_for(lambda: [r for r in estate.recoveries("count")
                                      if not r.get("planned") and r["state"] == "DONE"], 120, "it is recovered")[-1]
        check_equal(recovered["target"], "n2", "where it was recovered")
        dead = [e["message"] for e in estate.events("node.state", "n1") if "-> DEAD" in e["message"]]
        check("cannot reach it either" in dead[-1], f"the verdict tells what peers see: {dead}")
        self.speaks_on("n2")
        check(said(self.words, "n2")[on_n2] <= last, "what was restored has what was written after the backup")
        left = estate.workload("count")["left"]
        check_equal([(item["node"], item.get("backup_id", "")) for item in left], [("n1", "")], "what n1 is left with")
        step("n1 died and left numbers behind that are in no backup")
        return last

    def fails_back(self, last):
        estate = self.estate
        estate.nodes["n1"].start()
        kept = wait_for(lambda: estate.workload("count").get("left") and
                        estate.workload("count")["left"][0].get("backup_id"), 60, "what n1 was left with is kept")
        orphan = estate.ask("backup", "show", kept)
        check(orphan["orphan"] and orphan["node"] == "n1", f"the orphan backup: {orphan}")
        latest = estate.ask("backup", "show", "count@latest")["id"]
        check(latest != kept, "the orphan is not the latest backup")
        estate.ember("restore", kept, "--to", f"n1:{estate.srv}/orphan", "--yes")
        found = [os.path.join(parent, "numbers") for parent, _, names in os.walk(f"{estate.nodes['n1'].srv}/orphan")
                 if "numbers" in names]
        check_equal(counted(found[0])[-1], last, "the last number before the death")
        step(f"{kept} has what n1 was left with, number {last}")
        on_n2 = len(said(self.words, "n2"))
        estate.apply(describe(estate, fail_back="5s"))
        wait_for(lambda: estate.workload("count")["node"] == "n1" and
                 estate.workload("count")["state"] == "RUNNING", 120, "it goes home by itself")
        check(len(said(self.words, "n2")) >= on_n2, "it counted on n2 meanwhile")
        self.speaks_on("n1")
        check_equal(estate.workload("count").get("left", []), [], "what is left anywhere")
        before, after = said(self.words, "n2")[-1], counted(self.data("n1"))
        check(before in after, f"the last number of n2, {before}, is not on n1")
        step("it went home by itself, nothing of n2 is lost")


def test():
    with Estate(isolated=True) as estate:
        with open(f"{estate.work}/counter.py", "w") as file:
            file.write(COUNTER)
        open(f"{estate.work}/words", "w").close()
        for node in estate.nodes.values():
            with open(f"{node.srv}/name", "w") as file:
                file.write(node.name)
        os.mkdir(f"{estate.nodes['n1'].srv}/count")
        with open(f"{estate.nodes['n1'].srv}/count/keep", "w") as file:
            file.write("precious\n")
        estate.apply(describe(estate))
        estate.wait_running("count")
        moves = Moves(estate)
        began = time.monotonic()
        moves.by_hand()
        moves.cancelled()
        moves.drained()
        moves.fails_back(moves.orphan())
        for first, last, node in check_lives(moves.words, f"{estate.work}/lives"):
            step(f"{first - began:6.1f} s: on {node} for {last - first:.1f} s")


run(test, limit_seconds=400)
