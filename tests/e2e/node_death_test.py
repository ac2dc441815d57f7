"""A node dies, or only its link: its exclusive workload runs elsewhere, later, and never twice.

The workload is a process that says "I run" every 50 ms with the name of its node into a file that all nodes can write,
so that its words can be put in one order. First its host dies (agent and services killed) and it moves to its standby. Then
the link of that is cut: it must stop the workload by itself before the home node, back meanwhile, starts it again.
A second one, without a standby, is moved by its owner while its host is dead: what comes back does not start it either.
"""
import os
import sys
import time

from estate import (SHORT_TIMES, Estate, check, check_equal, exec_service, files, run, step, wait_for)
from speaker import SPEAKER, check_never_two, speaks

def states_of(estate, node):
    return [event["message"].split(",")[0] for event in estate.events("node.state", node)]


def describe(estate, script, path, plain_node):
    n3 = estate.nodes["n3"]
    workload = {
        "name": "voice", "node": "n1", "policies": ["daily"], "sources": files(f"{estate.srv}/voice"),
        "service": exec_service(sys.executable, script, path, f"{estate.srv}/name"),
        "health": {"process": True, "every": "1s", "failures": 3},
        "recovery": {"mode": "automatic", "class": "exclusive", "standby": ["n2"]}}
    plain = {"name": "plain", "node": plain_node, "service": exec_service(sys.executable, f"{estate.work}/talker.py",
                                                                          plain_words(path), f"{estate.srv}/name"),
             "health": {"process": True, "every": "1s", "failures": 3}}
    return {"vaults": [{"name": "nas", "node": "n3", "path": f"{n3.directory}/vault"}],
            "policies": [{"name": "daily", "schedule": "*-*-* 07:00", "vaults": ["nas"]}],
            "workloads": [workload, plain], "settings": SHORT_TIMES}


def plain_words(path):
    return f"{path}-plain"


def host_dies(estate, path):
    """Agent and services at once, as when the power goes."""
    n1 = estate.nodes["n1"]
    n1.lose_power()
    died = time.monotonic()
    step("n1 died")
    for state in ("SUSPECT", "UNREACHABLE", "DEAD"):
        wait_for(lambda: estate.node("n1")["state"] == state, 60, f"n1 is {state}")
        step(f"n1 is {state} after {time.monotonic() - died:.1f} s")
    check(not speaks(path, "n2"), "the standby started it before n1 was DEAD")
    recovery = estate.wait_recovered("voice")
    check_equal((recovery["node"], recovery["target"]), ("n1", "n2"), "from and to")
    wait_for(lambda: speaks(path, "n2"), 10, "voice speaks on n2")
    step(f"voice runs on n2, {time.monotonic() - died:.1f} s after the death; restore "
         f"{recovery['restore_seconds']:.1f} s")
    check_equal(states_of(estate, "n1")[-3:], ["ALIVE -> SUSPECT", "SUSPECT -> UNREACHABLE", "UNREACHABLE -> DEAD"],
                "states of n1")


def owner_moves(estate, script, path):
    estate.ember("workload", "hold", "plain")
    estate.apply(describe(estate, script, path, "n2"))
    estate.ember("workload", "release", "plain")
    wait_for(lambda: speaks(plain_words(path), "n2"), 30, "plain speaks on n2")
    step("plain was moved to n2 by hand")


def host_returns(estate, path):
    n1 = estate.nodes["n1"]
    n1.start()
    wait_for(lambda: estate.node("n1")["state"] == "ALIVE", 60, "n1 is ALIVE again")
    beat = estate.node("n1")["last_beat"]
    wait_for(lambda: estate.node("n1")["last_beat"] != beat, 20, "n1 beats")
    estate.wait_running("voice")
    on_n1 = [node for _, _, node in check_never_two(plain_words(path)) if node == "n1"]
    check_equal(len(on_n1), 1, "lives of plain on n1")
    check_equal(estate.workload("voice")["node"], "n2", "where voice is after n1 came back")
    check_equal(n1.pids("speaker.py"), [], "voices on n1 after its return")
    step("n1 is back and does not start its old copy")


def link_is_cut(estate, path):
    n2 = estate.nodes["n2"]
    pid = n2.pid("speaker.py")
    n2.cut()
    cut = time.monotonic()
    step("link of n2 cut")
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), 60, "n2 stops voice by itself")
    check(estate.node("n2")["state"] != "DEAD", "n2 was DEAD before it had stopped voice")
    step(f"n2 stopped voice by itself after {time.monotonic() - cut:.1f} s")
    wait_for(lambda: estate.node("n2")["state"] == "DEAD", 60, "n2 is DEAD")
    step(f"n2 is DEAD after {time.monotonic() - cut:.1f} s")
    recovery = estate.wait_recovered("voice", count=2)
    check_equal((recovery["node"], recovery["target"]), ("n2", "n1"), "from and to")
    wait_for(lambda: speaks(path, "n1"), 10, "voice speaks on n1")
    step(f"voice runs on n1 {time.monotonic() - cut:.1f} s after the cut")
    n2.heal()
    wait_for(lambda: estate.node("n2")["state"] == "ALIVE", 60, "n2 is ALIVE again")
    # Its agent has taken in where voice is now once it has asked for orders a few times.
    beat = estate.node("n2")["last_beat"]
    for _ in range(2):
        wait_for(lambda: estate.node("n2")["last_beat"] != beat, 20, "n2 beats")
        beat = estate.node("n2")["last_beat"]
    check_equal(n2.pids("speaker.py"), [], "voices on n2 after its return")
    check_equal(estate.workload("voice")["node"], "n1", "where voice is in the end")
    step("n2 is back and does not start its old copy")


def test():
    with Estate(isolated=True) as estate:
        script, path = f"{estate.work}/speaker.py", f"{estate.work}/words"
        for name in (script, f"{estate.work}/talker.py"):
            with open(name, "w") as file:
                file.write(SPEAKER)
        for file in (path, plain_words(path)):
            open(file, "w").close()
        for node in estate.nodes.values():
            with open(f"{node.srv}/name", "w") as file:
                file.write(node.name)
        os.mkdir(f"{estate.nodes['n1'].srv}/voice")
        with open(f"{estate.nodes['n1'].srv}/voice/data", "w") as file:
            file.write("precious\n")
        estate.apply(describe(estate, script, path, "n1"))
        estate.wait_running("voice", "plain")
        estate.backup("voice")
        step("voice runs on n1 and is backed up")

        host_dies(estate, path)
        with open(f"{estate.nodes['n2'].srv}/voice/data") as file:
            check_equal(file.read(), "precious\n", "data on the standby")
        owner_moves(estate, script, path)
        host_returns(estate, path)

        link_is_cut(estate, path)
        for began, ended, node in check_never_two(path):
            step(f"voice on {node}: {ended - began:.1f} s")


run(test, limit_seconds=260)
