"""Two nodes, and a command that switches one of them off.

A process says "I run" every 50 ms (as in node_death_test). The link of its node is cut: with nobody to outvote it, it
goes on running there, until the other node has run the fence command; only then, and with that proof, it starts on the
other one. While the command fails, nothing moves.
"""
import os
import sys

from estate import SHORT_TIMES, Estate, check, check_equal, exec_service, files, run, step, wait_for
from speaker import SPEAKER, check_never_two, speaks

# As a switchable socket would: everything in the network namespace of the node dies at once.
OFF = """
[ -e "$1" ] || { echo "the socket does not answer"; exit 1; }
for process in /proc/[0-9]*; do
  [ "$(readlink $process/ns/net)" = "net:[$2]" ] && kill -9 ${process#/proc/}
done
echo "n1 is off"
"""


def describe(estate, script, path, off, works):
    n1, n2 = estate.nodes["n1"], estate.nodes["n2"]
    return {
        "vaults": [{"name": "nas", "node": "n2", "path": f"{n2.directory}/vault"}],
        "policies": [{"name": "daily", "schedule": "*-*-* 07:00", "vaults": ["nas"]}],
        "workloads": [{
            "name": "voice", "node": "n1", "policies": ["daily"], "sources": files(f"{estate.srv}/voice"),
            "service": exec_service(sys.executable, script, path, f"{estate.srv}/name"),
            "health": {"process": True, "every": "1s", "failures": 3},
            "recovery": {"mode": "automatic", "class": "exclusive", "standby": ["n2"]}}],
        "nodes": [{"name": "n1", "fence": {"command": ["/bin/sh", off, works, str(n1.space.inode)], "from": ["n2"],
                                           "timeout": "20s"}}],
        "settings": SHORT_TIMES}


def test():
    with Estate(["n1", "n2"], isolated=True) as estate:
        n1, n2 = estate.nodes["n1"], estate.nodes["n2"]
        path, script = os.path.join(estate.work, "words"), os.path.join(estate.work, "speaker.py")
        off, works = os.path.join(estate.work, "off"), os.path.join(estate.work, "works")
        for name, text in ((script, SPEAKER), (off, OFF)):
            with open(name, "w") as file:
                file.write(text)
        for node in (n1, n2):
            with open(f"{node.srv}/name", "w") as file:
                file.write(node.name)
        os.makedirs(f"{n1.srv}/voice")
        with open(f"{n1.srv}/voice/data", "w") as file:
            file.write("something")
        estate.apply(describe(estate, script, path, off, works))
        estate.wait_running("voice")
        estate.backup("voice")
        plan = estate.ask("recovery", "plan", "n1")["items"][0]
        check("fence command" in plan["reason"], f"the plan: {plan}")

        n1.cut()
        step("link of n1 cut")
        wait_for(lambda: estate.events("node.fence_failed", "n1"), 90, "the fence command was run and failed")
        check(speaks(path, "n1"), "n1 runs on: nothing has stopped it")
        check_equal(estate.recoveries("voice")[0]["state"], "FENCING", "the recovery meanwhile")
        check("the socket does not answer" in estate.recoveries("voice")[0]["message"], "why it waits")
        step("the command fails, and voice stays where it is")

        with open(works, "w"):
            pass
        recovery = estate.wait_recovered("voice")
        check("n1 is off" in recovery["fence_proof"], f"the proof: {recovery['fence_proof']}")
        check(recovery["fence_seconds"] > 0, "the fence is measured")
        wait_for(lambda: speaks(path, "n2"), 10, "voice speaks on n2")
        check_equal(n1.space.pids(), [], "what runs on n1")
        check_never_two(path)
        step(f"voice runs on n2: {recovery['fence_proof']}")

        n1.heal()
        n1.start()
        wait_for(lambda: estate.node("n1")["state"] == "ALIVE", 60, "n1 is ALIVE again")
        # Its agent has taken in where voice is now once it has asked for orders a few times.
        for _ in range(3):
            beat = estate.node("n1")["last_beat"]
            wait_for(lambda: estate.node("n1")["last_beat"] != beat, 20, "n1 beats")
        check_equal(n1.pids("speaker.py"), [], "voices on n1 after its return")
        check(speaks(path, "n2"), "voice has left n2")
        lives = check_never_two(path)
        check_equal([node for _, _, node in lives], ["n1", "n2"], "lives of voice")
        step("n1 is back and does not start its old copy")


run(test, limit_seconds=240)
