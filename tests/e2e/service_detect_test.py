"""A killed service with nothing to restore is back in under ten seconds, with `every: 1s, failures: 3`.

Once by its agent alone, which sees the exit; once by the probe, when the process hangs but lives.
"""
import os
import signal
import sys
import time

from estate import Estate, check, exec_service, free_port, kill, run, step, wait_for

SECONDS_MAX = 10
ROUNDS = 2  # a third restart within minutes waits as long as three probes take


def test():
    with Estate(["n1"]) as estate:
        n1 = estate.nodes["n1"]
        port = free_port()
        pages = f"{n1.srv}/pages"
        os.mkdir(pages)
        estate.apply({"workloads": [{
            "name": "web", "node": "n1",
            "service": exec_service(sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", pages,
                                    str(port), stop_timeout="1s"),
            "health": {"http": f"http://127.0.0.1:{port}/", "every": "1s", "failures": 3, "timeout": "1s"}}]})
        estate.wait_running("web")

        def back(former):
            return n1.pids(pages) not in ([], [former]) and n1.http(("127.0.0.1", port), timeout=1)[0] == 200

        for number in range(1, ROUNDS + 1):
            pid = n1.pid(pages)
            died = time.monotonic()
            kill(pid)
            wait_for(lambda: back(pid), SECONDS_MAX, "the killed service is back")
            step(f"killed, round {number}: serving again after {time.monotonic() - died:.2f} s")
        estate.wait_running("web")
        check(len(estate.events("workload.restarted", "web")) >= 1, "no event tells of a restart")

        pid = n1.pid(pages)
        hung = time.monotonic()
        kill(pid, signal.SIGSTOP)
        wait_for(lambda: back(pid), 3 * SECONDS_MAX, "the hanging service was replaced")
        step(f"hanging: serving again after {time.monotonic() - hung:.2f} s")
        recovery = estate.wait_recovered("web")
        step(f"its recovery: detection {recovery['detect_seconds']:.1f} s, total {recovery['total_seconds']:.1f} s")


run(test, limit_seconds=90, root=False)
