"""The controller's disk is lost: a new one is made from a vault and the kit, and no host is touched.

What ran goes on running meanwhile, and is not started a second time. The new controller observes: it decides nothing,
refuses what would change something, and learns what the export did not know yet. Armed, it backs up, restores and recovers
as before. Damaged exports are passed over, a wrong kit is refused, and the old controller, back from the dead, is heeded by
nobody.
"""
import os
import shutil
import signal
import subprocess
import sys

from estate import (DONE, FAILED, REFUSED, Estate, Process, check, check_equal, exec_service, files, flip, program, run,
                    step, wait_for)

WRITER = """
import sys, time
open(sys.argv[1], "a").write("started\\n")
while True:
    time.sleep(1)
"""


def describe(estate, script, more=()):
    n1, n2 = estate.nodes["n1"], estate.nodes["n2"]
    workload = {"name": "app", "node": "n1", "policies": ["daily"], "sources": files(f"{n1.srv}/app"),
                "service": exec_service(sys.executable, script, f"{n1.directory}/starts"),
                "health": {"process": True, "every": "1s", "failures": 3}}
    return {"vaults": [{"name": "nas", "node": "n2", "path": f"{n2.directory}/vault"}],
            "policies": [{"name": "daily", "schedule": "*-*-* 07:00", "vaults": ["nas"]}],
            "workloads": [workload, *more]}


def exports(vault):
    directory = f"{vault}/catalog"
    return sorted(os.listdir(directory)) if os.path.isdir(directory) else []


def bootstrap(estate, state, vault, kit, code=DONE):
    result = subprocess.run([program("ember-controller"), "bootstrap", "--state-dir", state, "--from-vault", vault, "--kit",
                             kit, "--no-install"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    check_equal(result.returncode, code, f"bootstrap: {result.stdout}")
    return result.stdout


def lose(estate, kit):
    """The EM and all it had, but for the paper; a copy of its disk comes back to haunt it later."""
    shutil.move(f"{estate.em_state}/recovery-kit.txt", kit)
    estate.kill_em()
    shutil.move(estate.em_state, f"{estate.work}/old")


def wrong_input(estate, vault, kit):
    state = estate.em_state
    said = bootstrap(estate, state, f"{estate.work}/nowhere", kit, FAILED)
    check("there is no catalog export" in said, said)
    wrong = f"{estate.work}/wrong-kit.txt"
    with open(kit) as file:
        text = file.read()
    with open(wrong, "w") as file:
        file.write(text.replace("recovery-key:    ", "recovery-key:    0").replace("estate:  ", "estate: x"))
    check("the recovery kit cannot be used" in bootstrap(estate, state, vault, wrong, 2), "a mistyped kit")
    with open(wrong, "w") as file:
        file.write(text.replace("ca-fingerprint:  ", "ca-fingerprint:  00"))
    check("whose CA the kit names" in bootstrap(estate, state, vault, wrong, FAILED), "another CA's kit")
    check(not os.path.exists(state) and not os.path.exists(state + ".bootstrap"), "a refused bootstrap left something")
    step("wrong vault, mistyped kit, another CA: refused, nothing left behind")


def haunt(estate):
    """The old disk, started elsewhere: agents do not come to it; at the old address they do not heed it."""
    estate.kill_em()
    new = estate.em_state
    estate.em_state = f"{estate.work}/old"
    estate.start_em()
    wait_for(lambda: estate.ask("status")["em"].get("observing"), 60, "the old controller notices that it was replaced")
    estate.ember("workload", "hold", "app", check_code=REFUSED)
    check("em.superseded" in [event["type"] for event in estate.events()], "no event says so")
    estate.kill_em()
    estate.em_state = new
    estate.start_em()


def test():
    with Estate(["n1", "n2"]) as estate:
        n1, n2 = estate.nodes["n1"], estate.nodes["n2"]
        vault, kit = f"{n2.directory}/vault", f"{estate.work}/paper.txt"
        script = f"{estate.work}/writer.py"
        with open(script, "w") as file:
            file.write(WRITER)
        os.makedirs(f"{n1.srv}/app")
        with open(f"{n1.srv}/app/data", "w") as file:
            file.write("precious\n")
        estate.apply(describe(estate, script))
        estate.wait_running("app")
        before = estate.backup("app")["id"]
        estate.ember("backup", "pin", before)
        # An apply makes a new export; after it the newest one holds the pinned backup, too.
        had = len(exports(vault))
        estate.apply(describe(estate, script, [{"name": "idle", "node": "n1"}]))
        wait_for(lambda: len(exports(vault)) > had, 30, "an export follows a change")
        wait_for(lambda: estate.ask("vault", "show", "nas").get("last_export"), 20, "`vault show` knows of the export")
        # A later one, which rots.
        estate.apply(describe(estate, script))
        wait_for(lambda: len(exports(vault)) > had + 1, 30, "another export")
        flip(f"{vault}/catalog/{exports(vault)[-1]}", -100 + os.path.getsize(f"{vault}/catalog/{exports(vault)[-1]}"))
        answer = estate.ember("vault", "check", "nas", check_code=None)
        answer.expect_text("catalog export")
        starts, pid = open(f"{n1.directory}/starts").read(), n1.pid("writer.py")
        lose(estate, kit)
        wrong_input(estate, vault, kit)
        said = bootstrap(estate, estate.em_state, f"file://{vault}", kit)
        check("passed over" in said and "1 backups" in said, said)
        check("already" in bootstrap(estate, estate.em_state, vault, kit, FAILED), "a second bootstrap")
        step("made anew from the export before the damaged one")

        estate.start_em()
        wait_for(lambda: all(node.get("state") == "ALIVE" for node in estate.ask("node", "list")["items"]), 60,
                 "both nodes are ALIVE for the new controller")
        status = estate.ask("status")
        check(status["em"].get("observing") and any("OBSERVING" in alarm for alarm in status["alarms"]), f"{status}")
        estate.ember("backup", "run", "app", check_code=REFUSED).expect_text("ember recovery arm")
        check_equal((n1.pid("writer.py"), open(f"{n1.directory}/starts").read()), (pid, starts), "the service meanwhile")
        estate.ember("recovery", "arm", "--yes").expect_text("heard:", "n1", "n2", "armed")
        estate.ember("recovery", "arm", "--yes", check_code=REFUSED)
        estate.wait_running("app")
        check_equal((n1.pid("writer.py"), open(f"{n1.directory}/starts").read()), (pid, starts), "the service after arming")
        backup = estate.backups("app")[0]
        check(backup["id"] == before and backup["pinned"], f"the backup is known, and pinned: {backup}")
        estate.ember("backup", "verify", before)
        after = estate.backup("app")
        check(after["outcome"] == "OK" and after["id"] != before, f"{after}")
        shutil.rmtree(f"{n1.srv}/app")
        os.makedirs(f"{n1.srv}/app")
        estate.wait_recovered("app")
        with open(f"{n1.srv}/app/data") as file:
            check_equal(file.read(), "precious\n", "the data after a recovery by the new controller")
        estate.ember("log", "verify")
        step("armed: it verifies, backs up and recovers")

        haunt(estate)
        estate.wait_running("app")
        check(not estate.ask("status")["em"].get("observing"), "the new controller still decides")
        estate.backup("app")
        step("the old controller is heeded by nobody")


run(test, limit_seconds=200)
