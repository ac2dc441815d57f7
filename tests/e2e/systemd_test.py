"""A workload that is a unit of systemd: its agent sees it die, stops and starts it by D-Bus, and restores its data.

Runs where with_systemd.sh has made a systemd of its own; the unit is a real server of Debian's.
"""
import os
import subprocess
import sys

from estate import (Estate, SKIPPED, check, check_equal, check_same_tree, files, free_port, kill, nasty_tree,
                    remove_tree, run, step, wait_for)

UNIT = "ember-e2e-web.service"
UNITS = os.environ.get("EMBER_UNIT_DIRECTORY")


def systemctl(*arguments):
    result = subprocess.run(["systemctl", "--user", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, timeout=30)
    return result.stdout.strip()


def main_pid():
    return int(systemctl("show", "--property=MainPID", "--value", UNIT))


def declare_unit(data, port):
    with open(f"{UNITS}/{UNIT}", "w") as unit:
        unit.write("[Service]\n"
                   f"ExecCondition=/usr/bin/test -d {data}\n"
                   f"ExecStart={sys.executable} -m http.server --bind 127.0.0.1 --directory {data} {port}\n")
    systemctl("daemon-reload")


def test():
    with Estate(["n1", "nas"]) as estate:
        n1, nas = estate.nodes["n1"], estate.nodes["nas"]
        data, port = f"{n1.srv}/pages", free_port()
        nasty_tree(data, 200)
        declare_unit(data, port)
        estate.apply({
            "vaults": [{"name": "main", "node": "nas", "path": f"{nas.srv}/vault"}],
            "workloads": [{
                "name": "web", "node": "n1", "sources": files(data), "service": {"systemd": UNIT},
                "health": {"http": f"http://127.0.0.1:{port}/", "every": "1s", "failures": 3, "timeout": "1s"}}]})
        estate.wait_running("web")
        first = main_pid()
        check(first > 0, "the unit was not started")
        step("its agent started the unit")

        backup = estate.backup("web")
        estate.ember("restore", backup["id"], "--to", f"n1:{estate.work}/copy")

        kill(first)
        wait_for(lambda: main_pid() not in (0, first), 30, "the killed unit runs again")
        estate.wait_running("web")
        step("killed: started again in place")

        second = main_pid()
        remove_tree(data)
        kill(second)
        recovery = estate.wait_recovered("web")
        check_equal(recovery["state"], "DONE", f"the recovery: {recovery['message']}")
        check_equal(recovery["backup_id"], backup["id"], "what was restored")
        check(main_pid() not in (0, second), "the unit does not run after its recovery")
        check_same_tree(f"{estate.work}/copy", data)
        check_equal(n1.http(("127.0.0.1", port))[0], 200, "its answer after the recovery")
        step(f"data gone and killed: restored in {recovery['restore_seconds']:.1f} s, total "
             f"{recovery['total_seconds']:.1f} s")

        estate.ember("workload", "hold", "web")
        wait_for(lambda: main_pid() == 0, 30, "the held unit stops")
        estate.ember("workload", "release", "web")
        estate.wait_running("web")
        step("hold stops the unit, release starts it")


if not UNITS:
    print("skipped: no systemd for tests; see tests/support/with_systemd.sh")
    sys.exit(SKIPPED)
run(test, limit_seconds=120)
