"""An application that says itself that it is well: `ember beat` from a real service.

It beats, and is RUNNING. It hangs, though its process lives: DEAD, restarted, beats again, healthy. Held for longer than
its beats may be apart and released, it is not condemned by the beat from before.
"""
import os
import re
import sys
import time

from estate import Estate, check, check_equal, exec_service, program, run, step, wait_for

EVERY, FAILURES = 3, 3  # seconds, misses

# Beats once a second as long as the file is not there. Every start writes a line.
APPLICATION = """
import os, subprocess, sys, time
with open(sys.argv[2], "a") as starts:
    starts.write(f"{os.getpid()}\\\\n")
while True:
    if not os.path.exists(sys.argv[1]):
        subprocess.run([sys.argv[3], "beat", "app"])
    time.sleep(1)
""".replace("\\\\n", "\\n")


def test():
    with Estate(["n1"]) as estate:
        n1 = estate.nodes["n1"]
        hang, starts, script = f"{n1.srv}/hang", f"{n1.srv}/starts", f"{n1.directory}/application.py"
        with open(script, "w") as file:
            file.write(APPLICATION)
        estate.apply({"workloads": [{
            "name": "app", "node": "n1",
            "service": exec_service(sys.executable, script, hang, starts, program("ember"), stop_timeout="1s",
                                    environment={**{k: v for k, v in estate.environment().items()
                                                    if k in ("EMBER_EM", "EMBER_IDENTITY", "HOME")},
                                                 "PATH": os.environ["PATH"]}),
            "health": {"heartbeat": f"{EVERY}s", "every": "1s", "failures": FAILURES}}]})

        def started():
            if not os.path.exists(starts):
                return []
            with open(starts) as file:
                return file.read().split()

        estate.wait_running("app")
        check_equal(len(started()), 1, "starts of the application")
        first = n1.pid("application.py")
        step("it beats and is RUNNING")

        open(hang, "w").close()
        hung = time.monotonic()
        recovery = wait_for(lambda: (estate.recoveries("app") or [None])[0], 60, "its silence is noticed")
        step(f"noticed {time.monotonic() - hung:.1f} s after the last beats: {recovery['cause']}")
        silence = re.fullmatch("no heartbeat for ([0-9]+)s", recovery["cause"])
        check(silence and int(silence[1]) >= EVERY * FAILURES, f"the cause: {recovery['cause']}")
        wait_for(lambda: len(started()) >= 2, 30, "it is started anew")
        # Still silent: the process alone does not make it healthy.
        check(estate.recoveries("app")[0]["state"] in ("STARTING", "VERIFYING"),
              f"a process that never beat ended the recovery: {estate.recoveries('app')[0]['state']}")
        os.remove(hang)
        recovery = estate.wait_recovered("app", seconds=60)
        check(n1.pid("application.py") != first, "the hanging process still runs")
        estate.wait_running("app")
        step(f"restarted, beats, healthy: total {recovery['total_seconds']:.1f} s")

        estate.ember("workload", "hold", "app")
        wait_for(lambda: not n1.pids("application.py"), 30, "it is stopped")
        held = time.monotonic()
        wait_for(lambda: time.monotonic() - held > EVERY * FAILURES + 2, 30, "its last beat is old")
        estate.ember("workload", "release", "app")
        estate.wait_running("app", seconds=30)
        check_equal(len(estate.recoveries("app")), 1, "recoveries, after it was held and released")
        check(not any("no heartbeat" in e["message"] for e in estate.events("workload.state", "app")
                      if e["seq"] > estate.events("workload.released", "app")[-1]["seq"]),
              "the beat from before condemned what was just released")
        step("held and released: not condemned by the beat from before")


run(test, limit_seconds=240, root=False)
