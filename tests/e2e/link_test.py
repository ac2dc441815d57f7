"""The link of a node is cut in the middle of a backup and of a restore, for longer than a connection is kept.

The backup that was asked for, and the restore, end well by themselves once the link is back, with every bit; the services
run on, because nothing here fails over.
"""
import os
import time

from estate import (Estate, check, check_equal, check_same_tree, disk_bytes, exec_service, files, run, run_checked, step,
                    wait_for)

CUT_SECONDS = 25  # a dead connection is noticed within 20
DATA_BYTES = 100 << 20
BUSY_BYTES = 4 << 20  # moved before the cut, so that it hits the middle


def staged_bytes(node):
    """Of a restore under way: it writes beside its target first."""
    return disk_bytes(*(os.path.join(node.srv, name) for name in os.listdir(node.srv)
                        if name.startswith((".ember-restore-", "copy"))))


def make_data(directory):
    os.makedirs(directory, exist_ok=True)
    for number in range(10):
        with open(f"{directory}/{number}", "wb") as file:
            file.write(os.urandom(DATA_BYTES // 10))


def slow_down(node):
    """Slow enough to be cut in the middle."""
    run_checked("ip", "netns", "exec", node.space.name, "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate",
                "400mbit", "burst", "256kb", "latency", "50ms")


def describe(estate, vault):
    def workload(name):
        return {"name": name, "node": "n1", "sources": files(f"{estate.srv}/{name}"),
                "service": exec_service("/usr/bin/tail", "-f", f"{estate.srv}/{name}.log"),
                "health": {"process": True, "every": "1s", "failures": 3}}

    return {"vaults": [{"name": "main", "node": "nas", "path": vault}],
            "workloads": [workload("written"), workload("read")]}


def end_well(running, what):
    out, err = running.communicate(timeout=150)
    check_equal(running.returncode, 0, f"{what}: {out.decode()}{err.decode()}")


def test():
    with Estate(["n1", "nas"], isolated=True, in_memory=True) as estate:
        n1, nas = estate.nodes["n1"], estate.nodes["nas"]
        vault, copy = f"{nas.directory}/vault", f"{n1.srv}/copy"
        for name in ("written", "read"):
            make_data(f"{n1.srv}/{name}")
            open(f"{n1.srv}/{name}.log", "w").close()
        estate.apply(describe(estate, vault))
        estate.wait_running("written", "read")
        pids = n1.pids("tail -f")
        estate.backup("read")
        slow_down(n1)
        slow_down(nas)
        step("two services run; one has a backup")

        stored = disk_bytes(vault)
        backup = estate.begin("--timeout", "120", "backup", "run", "written")
        restore = estate.begin("--timeout", "120", "restore", "read@latest", "--to", f"n1:{estate.srv}/copy", "--yes")
        wait_for(lambda: disk_bytes(vault) > stored + BUSY_BYTES and staged_bytes(n1) > BUSY_BYTES, 30,
                 "both are under way", pause=0.02)
        n1.cut()
        began, moved = time.monotonic(), disk_bytes(vault) - stored
        wait_for(lambda: time.monotonic() > began + CUT_SECONDS, CUT_SECONDS + 5, "the link was cut long enough")
        check(backup.poll() is None and restore.poll() is None, "the cut hit nothing: one had ended before")
        n1.heal()
        step(f"the link was cut for {CUT_SECONDS} s, after {moved >> 20} MiB of the backup")

        end_well(restore, "restore")
        check_same_tree(f"{n1.srv}/read", copy)
        step("the restore went on and ended, with every bit")
        end_well(backup, "backup")
        estate.ember("backup", "verify", "written@latest")
        step("the backup was made in a second attempt, and is whole")
        check_equal(n1.pids("tail -f"), pids, "the services' processes, in the end")
        check_equal(estate.events("recovery.detected"), [], "recoveries: nothing died")


run(test, limit_seconds=200)
