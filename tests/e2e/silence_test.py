"""A link that loses what a host says for about half a lease: nothing that runs there notices.

The host's lease may lapse meanwhile; its peers then say that they reach the controller. It has until its self-fence time to do so,
too, over a connection whose packets were lost.
"""
import random
import time

from estate import SHORT_TIMES, Estate, check_equal, exec_service, run, step, wait_for

ROUNDS = 4
# The lease is of 11 s, and 5 more are for asking; a beat may be 3 s old when the link is cut.
SHORTEST, LONGEST = 4, 8
SETTLED_AFTER = 12


def test():
    with Estate(["n1", "n2", "n3", "n4"], isolated=True) as estate:
        n1 = estate.nodes["n1"]
        estate.apply({"workloads": [{
            "name": "svc", "node": "n1", "service": exec_service("/bin/sleep", "100000"),
            "health": {"process": True, "every": "1s", "failures": 3},
            "recovery": {"mode": "automatic", "class": "exclusive", "standby": ["n2", "n3"]}}], "settings": SHORT_TIMES})
        estate.wait_running("svc")
        first, dice = n1.pids("sleep 100000"), random.Random(1)
        for _ in range(ROUNDS):
            seconds, begin = dice.uniform(SHORTEST, LONGEST), time.monotonic()
            n1.mute(estate.hub)
            wait_for(lambda: time.monotonic() > begin + seconds, 20, "the link loses packets for a while", pause=0.05)
            n1.heal()
            healed = time.monotonic()
            wait_for(lambda: time.monotonic() > healed + SETTLED_AFTER, 20, "its self-fence time would be over")
            check_equal(n1.pids("sleep 100000"), first, f"the service, after {seconds:.1f} s")
            step(f"silent for {seconds:.1f} s, and nothing happened")
        check_equal(estate.events("node.self_fenced"), [], "hosts that fenced themselves")
        check_equal(estate.workload("svc")["state"], "RUNNING", "its state")


run(test, limit_seconds=200)
