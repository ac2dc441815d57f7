"""Looking after a vault: delete and undelete, garbage collection that frees the disk although its agent dies, a check that
finds flipped bytes, the next backup that makes up for them, an index made anew.

Whatever is deleted or lost, the other backups restore bit by bit.
"""
import json
import os
import shutil

from estate import (DAMAGED, DONE, NOT_FOUND, REFUSED, Estate, check, check_equal, check_same_tree, files, flip,
                    nasty_tree, packs, remove_tree, run, step, wait_for, write_noise)

MEBIBYTE = 1 << 20


def describe(estate):
    n1, n2 = estate.nodes["n1"], estate.nodes["n2"]
    return {
        "vaults": [{"name": "nas", "node": "n2", "path": f"{n2.directory}/vault", "trash": "1d"}],
        "policies": [{"name": "by-hand", "vaults": ["nas"]}],
        "workloads": [{"name": "notes", "node": "n1", "policies": ["by-hand"], "sources": files(f"{n1.srv}/data"),
                       "service": "none", "recovery": {"mode": "manual"}}]}


def bytes_on_disk(vault):
    total = 0
    for part in ("packs", "trash/packs"):
        for directory, _, names in os.walk(f"{vault}/{part}"):
            total += sum(os.path.getsize(os.path.join(directory, name)) for name in names)
    return total


def log_text(path):
    with open(path, errors="backslashreplace") as log:
        return log.read()


class Story:
    def __init__(self, estate):
        self.estate = estate
        n1, n2 = estate.nodes["n1"], estate.nodes["n2"]
        self.data = f"{n1.srv}/data"
        self.vault = f"{n2.directory}/vault"
        self.elsewhere = f"{n1.directory}/restored"

    def shown(self, backup):
        return self.estate.ask("backup", "show", backup)

    def check_restores(self, backup):
        self.estate.ember("restore", backup, "--to", f"n1:{self.elsewhere}", "--yes")
        check_same_tree(self.data, self.elsewhere)
        remove_tree(self.elsewhere)

    def two_backups(self):
        nasty_tree(self.data, 100)
        write_noise(f"{self.data}/passing", 24)
        self.first = self.estate.backup("notes")["id"]
        os.remove(f"{self.data}/passing")
        write_noise(f"{self.data}/lasting", 8)
        self.second = self.estate.backup("notes")["id"]
        check(self.first != self.second, "two backups have one id")

    def delete_and_undelete(self):
        ember = self.estate.ember
        ember("backup", "delete", self.first, check_code=REFUSED).expect_text("needs confirmation", "trash", "--yes")
        ember("backup", "delete", self.second, "--yes", check_code=REFUSED).expect_text("newest good backup")
        ember("backup", "pin", self.first)
        ember("backup", "delete", self.first, "--yes", check_code=REFUSED).expect_text("pinned")
        ember("backup", "unpin", self.first)
        check(not self.shown(self.first)["trashed"], "a refused deletion deleted")

        ember("backup", "delete", self.first, "--why", "a test", "--yes").expect_text("undelete")
        check(self.shown(self.first)["trashed"], "a deleted backup is not in the trash")
        ember("restore", self.first, "--to", f"n1:{self.elsewhere}", "--yes", check_code=REFUSED)
        check(any("a test" in event["message"] for event in self.estate.events("delete.ok", self.first)),
              "no event says why it was deleted")
        ember("vault", "gc", "nas")
        ember("backup", "undelete", self.first)
        check(not self.shown(self.first)["trashed"], "an undeleted backup is in the trash")
        ember("backup", "verify", self.first)
        check_equal(self.shown(self.first)["verified_level"], "L2", "level of a verified backup")
        step("deleted, collected, undeleted: all there")

    def free_the_disk(self):
        ember = self.estate.ember
        ember("backup", "delete", self.first, "--yes")
        before = bytes_on_disk(self.vault)
        ember("vault", "gc", "nas", "--empty-trash", check_code=REFUSED).expect_text(self.first)
        self.collect_while_the_agent_dies()
        freed = before - bytes_on_disk(self.vault)
        check(freed > 20 * MEBIBYTE, f"{freed} bytes were freed on disk, of 24 MiB that nothing needs")
        ember("backup", "show", self.first, check_code=NOT_FOUND)
        last = self.estate.ask("vault", "show", "nas")["last_gc"]
        check_equal(last["outcome"], "OK", "outcome of the last garbage collection, as the vault shows it")
        self.check_restores(self.second)
        step(f"{freed / MEBIBYTE:.1f} MiB freed; the other backup restores bit by bit")

    def collect_while_the_agent_dies(self):
        """The agent has taken the order and is killed: the job is done all the same, once."""
        n2 = self.estate.nodes["n2"]
        taken_before = log_text(n2.log).count("/nas/gc/")
        asked = self.estate.begin("vault", "gc", "nas", "--empty-trash", "--yes", "--json")
        wait_for(lambda: log_text(n2.log).count("/nas/gc/") > taken_before, 30, "the agent has taken the order")
        n2.kill_agent()
        n2.start()
        out, err = asked.communicate(timeout=120)
        check_equal(asked.returncode, DONE, f"exit code of vault gc ({err.decode()})")
        check_equal(json.loads(out)["outcome"], "OK", "outcome of the garbage collection")
        step("the agent was killed during the garbage collection, which was completed")

    def flip_bytes(self):
        largest = packs(self.vault)[0]
        size = os.path.getsize(largest)
        # In so many places that no parity makes up for it.
        flip(largest, *range(size // 4, size * 3 // 4, 64 << 10))

    def find_flipped_bytes(self):
        ember = self.estate.ember
        ember("vault", "check", "nas", "--read-data")
        check_equal(self.estate.ask("vault", "show", "nas")["last_check"]["level"], "L1", "level of the last check")
        self.flip_bytes()
        ember("vault", "check", "nas", "--read-data", check_code=DAMAGED).expect_text(self.second)
        shown = self.shown(self.second)
        check(not shown["verified"] and shown["error"], "a damaged backup is shown as good")
        ember("backup", "list", "notes").expect_text("damaged")
        check_equal(len(self.estate.events("backup.damaged", self.second)), 1, "events of the damage")
        report = ember("vault", "check", "nas", "--read-data", "--json", check_code=DAMAGED).json
        check(self.second in report["vault_result"]["damaged_backups"], "the report does not name the backup")
        ember("backup", "verify", self.second, check_code=DAMAGED)
        step("flipped bytes found, the backup is named and no longer good")

    def the_next_backup_heals(self):
        third = self.estate.backup("notes")["id"]
        check_equal(self.estate.workload("notes")["last_backup"], third, "the newest good backup")
        self.check_restores(third)
        self.estate.ember("backup", "verify", self.second)
        self.check_restores(self.second)
        step("the next backup sent the damaged records again: both restore bit by bit")

    def a_lost_index_is_made_anew(self):
        shutil.rmtree(f"{self.vault}/index")
        self.estate.ember("vault", "rebuild-index", "nas").expect_text("made anew")
        self.check_restores(self.second)
        self.estate.backup("notes")
        step("the index was removed and made anew: the backup restores bit by bit")


def test():
    with Estate(["n1", "n2"]) as estate:
        estate.apply(describe(estate))
        story = Story(estate)
        story.two_backups()
        story.delete_and_undelete()
        story.free_the_disk()
        story.find_flipped_bytes()
        story.the_next_backup_heals()
        story.a_lost_index_is_made_anew()


run(test, limit_seconds=240)
