"""What a person meets around a restore: a look into a backup, an earlier one by its time, malformed settings, the way
back, damage that is remembered; `doctor`; verbs that are not built.
"""
import glob
import os
import subprocess
import time

from estate import (DAMAGED, DONE, NOT_FOUND, USAGE, Estate, check, check_equal, files, flip, packs, run, step, wait_for)

LARGE = "".join(f"line {n}\n" for n in range(120000))
OLD, NEW = '{"port": 1}\n', '{"port": 2}\n'


def put(path, text):
    with open(path, "w") as file:
        file.write(text)


def read(path):
    with open(path) as file:
        return file.read()


def listing(estate, data, backup):
    rows = {row["path"]: row for row in estate.ask("backup", "files", backup, data)["items"]}
    check_equal(sorted(rows), [data, f"{data}/large", f"{data}/link", f"{data}/odd\nname", f"{data}/settings.json"], "the paths")
    row = rows[f"{data}/settings.json"]
    check_equal((row["type"], int(row["size"]), row["mode"] & 0o777), ("file", len(OLD), 0o640), "one file")
    check_equal(rows[f"{data}/link"]["type"], "symlink", "the link's type")
    text = estate.ember("backup", "files", backup, f"{data}/settings.json")
    check(text.out.startswith("-rw-r-----") and "settings.json" in text.out, text.out)
    lines = estate.ember("backup", "files", backup, data).out.splitlines()
    check_equal(len(lines), len(rows), "lines, one for each path whatever is in its name")
    estate.ember("backup", "files", backup, f"{data}/nothing", check_code=NOT_FOUND)
    step("a look into a backup")


def cat(estate, data, backup):
    check_equal(estate.ember("backup", "cat", backup, f"{data}/settings.json").out, OLD, "a file as it is in the backup")
    shown = estate.ask("backup", "cat", backup, f"{data}/settings.json")
    check_equal((shown["content"], shown["size_bytes"]), (OLD, len(OLD)), "as JSON")
    check(estate.ember("backup", "cat", backup, f"{data}/large").out == LARGE, "a file of several parts differs")
    estate.ember("backup", "cat", backup, f"{data}/link", check_code=USAGE).expect_text("symbolic link to settings.json")
    estate.ember("backup", "cat", backup, data, check_code=USAGE).expect_text("is a directory")
    estate.ember("backup", "cat", backup, f"{data}/nothing", check_code=NOT_FOUND)
    estate.kill_em()
    found = subprocess.run(["grep", "-rlF", OLD.strip(), estate.em_state], stdout=subprocess.PIPE, text=True)
    check_equal(found.stdout, "", "what was read is in the controller's files")
    estate.start_em()
    step("files as they are in a backup, which the controller cannot read")


def by_time(estate, data, first):
    estate.ember("restore", "svc", "--at", first["created"], "--dry-run").expect_text("1 changed", "changed " + f"{data}/settings.json"[1:])
    check_equal(estate.events("restore.ok"), [], "a comparison is no event")
    oldest, newest = (item["difference"] for item in estate.ask("backup", "list", "svc", "--compare")["items"])
    check_equal((newest["changed"], oldest["changed"]), (0, 1), "what each would change")
    restored = estate.ember("restore", "svc", "--at", first["created"], "--yes")
    check_equal(read(f"{data}/settings.json"), OLD, "the settings of then")
    check("mv -T" in restored.out, f"the way back to the safety copy:\n{restored.out}")
    copies = glob.glob(f"{data}.ember-safety-*")
    check_equal(len(copies), 1, f"safety copies {copies}")
    check_equal(read(f"{copies[0]}/settings.json"), NEW, "the safety copy's settings")
    estate.ember("restore", "svc", "--at", "2001-01-01T00:00", "--yes", check_code=NOT_FOUND)
    step("by its time, with the way back")


def malformed(estate, data):
    put(f"{data}/settings.json", '{"port": \n')
    backup = estate.backup("svc")["id"]
    put(f"{data}/settings.json", NEW)
    estate.ember("restore", backup, "--yes").expect_text("settings.json", "not valid JSON")
    put(f"{data}/settings.json", NEW)
    step("malformed settings are told of")
    return backup


def damaged(estate, backup, vault):
    for pack in packs(vault):
        flip(pack, *range(100, os.path.getsize(pack), 64))
    target = f"{os.path.dirname(vault)}/elsewhere"
    estate.ember("restore", backup, "--to", f"n1:{target}", check_code=DAMAGED).expect_text("svc")
    check(not os.path.exists(target), "something was restored from damaged data")
    shown = estate.ask("backup", "show", backup)
    check_equal((shown["verified"], bool(shown["error"])), (False, True), "a backup that met damage is shown as good")
    check(estate.events("backup.damaged", backup), "no event tells of the damage")
    step("damage met in a restore is remembered")


def test():
    with Estate(["n1"]) as estate:
        n1 = estate.nodes["n1"]
        data, vault = f"{n1.srv}/data", f"{n1.directory}/vault"
        os.mkdir(data)
        put(f"{data}/settings.json", OLD)
        os.chmod(f"{data}/settings.json", 0o640)
        put(f"{data}/odd\nname", "x")
        put(f"{data}/large", LARGE)
        os.symlink("settings.json", f"{data}/link")
        estate.apply({
            "vaults": [{"name": "nas", "node": "n1", "path": vault}],
            "policies": [{"name": "daily", "schedule": "*-*-* 07:00", "vaults": ["nas"]}],
            "workloads": [{"name": "svc", "node": "n1", "policies": ["daily"], "sources": files(data)}]})
        first = estate.backup("svc")
        listing(estate, data, first["id"])
        cat(estate, data, first["id"])
        put(f"{data}/settings.json", NEW)
        # Ids and times of backups are of a second.
        wait_for(lambda: int(time.time()) % 60 != int(first["created"][17:19]), 5, "another second")
        estate.backup("svc")
        by_time(estate, data, first)
        last = malformed(estate, data)

        doctor = estate.ember("doctor", n1.srv, check_code=None)
        check(doctor.code in (DONE, 1), doctor.out + doctor.err)
        doctor.expect_text("identity", "clock")
        estate.ember("drill", "run", "svc", check_code=USAGE).expect_text("later version")
        step("doctor, and a verb of a later version")
        damaged(estate, last, vault)


run(test, limit_seconds=120, root=False)
