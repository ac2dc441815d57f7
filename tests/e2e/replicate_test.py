"""A second vault: it copies by itself, also when its agent dies meanwhile; it heals the first one's flipped bytes and lost
packs; it serves restores while the first one's node is away; it keeps what is deleted there; it fills a new disk.
"""
import os
import shutil
import time

from estate import (DONE, Estate, check, check_equal, check_same_tree, files, flip, nasty_tree, packs, remove_tree, run,
                    step, wait_for, write_noise)


def describe(estate, **settings):
    n2, n3 = estate.nodes["n2"], estate.nodes["n3"]
    return {
        "vaults": [{"name": "nas", "node": "n2", "path": f"{n2.directory}/vault", "parity": False},
                   {"name": "usb", "node": "n3", "path": f"{n3.directory}/vault", "replicate_from": ["nas"]}],
        "policies": [{"name": "by-hand", "vaults": ["nas", "usb"]}],
        "workloads": [{"name": "notes", "node": "n1", "policies": ["by-hand"],
                       "sources": files(f"{estate.nodes['n1'].srv}/data"),
                       "service": "none", "recovery": {"mode": "manual"}}],
        "settings": settings}


class Story:
    def __init__(self, estate):
        self.estate = estate
        self.data = f"{estate.nodes['n1'].srv}/data"
        self.nas = f"{estate.nodes['n2'].directory}/vault"
        self.usb = f"{estate.nodes['n3'].directory}/vault"
        self.elsewhere = f"{estate.nodes['n1'].directory}/restored"

    def vaults_of(self, backup):
        return self.estate.ask("backup", "show", backup)["vaults"]

    def wait_copied(self, backup):
        wait_for(lambda: self.vaults_of(backup) == ["nas", "usb"], 60, f"{backup} is in both vaults")

    def check_restores(self, backup):
        self.estate.ember("restore", backup, "--to", f"n1:{self.elsewhere}", "--yes")
        check_same_tree(self.data, self.elsewhere)
        remove_tree(self.elsewhere)

    def copies_by_itself(self):
        nasty_tree(self.data, 100)
        write_noise(f"{self.data}/noise", 8)
        self.first = self.estate.backup("notes")["id"]
        self.wait_copied(self.first)
        check(self.estate.ask("backup", "show", self.first)["compliant"], "it is in every vault of its policy")
        last = self.estate.ask("vault", "show", "usb")["last_replication"]
        check_equal(last["outcome"], "OK", "outcome of the last replication")
        again = self.estate.ember("vault", "replicate", "nas", "usb", "--json").json
        check_equal(again["vault_result"]["records_copied"], 0, "records that were copied twice")
        step("copied by itself, once")

    def copies_although_its_agent_dies(self):
        n3 = self.estate.nodes["n3"]
        write_noise(f"{self.data}/more", 120)
        taken_before = self.orders_taken()
        self.second = self.estate.backup("notes")["id"]
        wait_for(lambda: self.orders_taken() > taken_before, 30, "n3 has taken the order to copy")
        n3.kill_agent()
        n3.start()
        self.wait_copied(self.second)
        self.estate.ember("vault", "check", "usb", "--read-data")
        step("the agent was killed while it copied; the copy was completed")

    def orders_taken(self):
        with open(self.estate.nodes["n3"].log, errors="backslashreplace") as log:
            return log.read().count("/usb/replicate/")

    def keeps_to_the_limit(self):
        """What n1 sends takes as long as its rule says; the copies, from n2, do not."""
        write_noise(f"{self.data}/slow", 4)
        self.estate.apply(describe(self.estate, bandwidth=[{"node": "n1", "limit": "1MiB"}]))
        beat = self.estate.node("n1")["last_beat"]
        wait_for(lambda: self.estate.node("n1")["last_beat"] != beat, 20, "n1 beats")
        began = time.monotonic()
        self.second = self.estate.backup("notes")["id"]
        took = time.monotonic() - began
        check(took > 3.5, f"4 MiB were sent within {took:.1f} s at 1 MiB/s")
        self.wait_copied(self.second)
        self.estate.apply(describe(self.estate))
        step(f"4 MiB at 1 MiB/s took {took:.1f} s")

    def heals(self):
        ember = self.estate.ember
        largest = packs(self.nas)[0]
        size = os.path.getsize(largest)
        flip(largest, *range(size // 4, size * 3 // 4, 256 << 10))
        os.remove(packs(self.nas)[1])
        ember("vault", "check", "nas", "--read-data", check_code=7)
        check(not self.estate.ask("backup", "show", self.second)["verified"], "a damaged backup is shown as good")
        healed = ember("vault", "check", "nas", "--from", "usb", "--json").json["vault_result"]
        check(healed["records_repaired"] > 0 and healed["records_damaged"] == 0, f"{healed}")
        ember("vault", "check", "nas", "--read-data")
        ember("backup", "verify", self.second)
        self.check_restores(self.second)
        step(f"{healed['records_repaired']} records healed from the other vault")

    def verifies_a_copy(self):
        """A copy is decrypted like the backup itself; damage in it is said of the copy alone."""
        ember, show = self.estate.ember, lambda: self.estate.ask("backup", "show", self.second)
        check_equal(show().get("copies_verified", []), [], "copies verified before")
        ember("backup", "verify", self.second, "--vault", "usb")
        copies = [(copy["vault"], copy["level"]) for copy in show()["copies_verified"]]
        check_equal(copies, [("usb", "L2")], "copies verified")
        ember("backup", "verify", self.second, "--vault", "attic", check_code=5)
        for pack in packs(self.usb):
            with open(pack, "r+b") as file:  # more than its parity can give back
                file.seek(4096)
                file.write(os.urandom(max(0, os.path.getsize(pack) * 9 // 10 - 4096)))
        checked = self.estate.ask("vault", "show", "usb").get("last_check", {}).get("run_id")
        ember("backup", "verify", self.second, "--vault", "usb", check_code=7)
        check(show()["verified"], "damage in a copy was said of the backup")
        check_equal(show().get("copies_verified", []), [], "copies verified when the copy is damaged")
        # By itself: all of the vault is read and healed from the other one, then the copy counts again.
        self.wait_copied(self.second)
        check(self.estate.ask("vault", "show", "usb")["last_check"]["run_id"] != checked, "a copy counts, and nobody looked")
        ember("backup", "verify", self.second, "--vault", "usb")
        ember("backup", "verify", self.second, "--sample", "50").expect_text("a sample")
        step("a copy was verified, found damaged, made whole by itself and verified again")

    def compares(self):
        diff = self.estate.ask("backup", "diff", self.first, self.second)["items"]
        added = [each["after"]["path"] for each in diff if each["change"] == "added"]
        check_equal(added, [f"{self.data}/more", f"{self.data}/slow"], "what the second backup has and the first has not")
        check_equal([each["change"] for each in diff if each["change"] != "added"], [], "what else changed")
        back = self.estate.ember("backup", "diff", self.second, self.first, f"{self.data}/more")
        back.expect_text(f"- {self.data}/more")
        step("two backups compared")

    def notices_a_disk_put_back(self):
        """What a disk lost because an older state of it was put back is not shown as good there, and comes again."""
        n2 = self.estate.nodes["n2"]
        n2.stop_agent()
        shutil.copytree(self.nas, f"{self.nas}.old", symlinks=True)
        n2.start()
        self.wait_served()
        write_noise(f"{self.data}/late", 1)
        late = self.estate.backup("notes")["id"]
        self.wait_copied(late)
        n2.stop_agent()
        shutil.rmtree(self.nas)
        os.rename(f"{self.nas}.old", self.nas)
        n2.start()
        wait_for(lambda: self.estate.events("vault.rolled_back"), 60, "the disk that was put back is noticed")
        check(self.estate.events("backup.moved"), "the backup whose copy took its place is not named")
        check(any("put back" in alarm for alarm in self.estate.ask("status")["alarms"]), "no alarm")
        wait_for(lambda: sorted(self.vaults_of(late)) == ["nas", "usb"], 60, f"{late} is in both vaults again")
        self.estate.ember("vault", "check", "nas")
        check(not any("put back" in alarm for alarm in self.estate.ask("status")["alarms"]), "the alarm stayed")
        self.estate.ember("backup", "verify", late)
        self.second = late
        step("an older state of a disk was noticed, and filled from the other vault")

    def serves_while_the_first_is_away(self):
        n2 = self.estate.nodes["n2"]
        n2.stop_agent()
        wait_for(lambda: self.estate.node("n2")["state"] != "ALIVE", 60, "n2 is silent")
        self.check_restores(self.second)
        step("restored from the copy while the first vault's node was away")
        shutil.rmtree(self.nas)
        n2.start()
        self.wait_served()
        filled = self.estate.ember("vault", "replicate", "usb", "nas", "--json").json["vault_result"]
        check(set(filled["backups"]) >= {self.first, self.second}, f"the new disk has only {filled['backups']}")
        self.estate.ember("backup", "verify", self.second)
        self.check_restores(self.second)
        step("a new disk in the first one's place was filled from the copies")

    def wait_served(self):
        wait_for(lambda: self.estate.node("n2")["state"] == "ALIVE", 60, "n2 is ALIVE again")
        wait_for(lambda: self.estate.ask("vault", "show", "nas")["state"] == "OK", 30, "its vault is served")

    def keeps_what_is_deleted(self):
        ember = self.estate.ember
        ember("backup", "delete", self.first, "--yes")
        ember("vault", "gc", "nas", "--empty-trash", "--yes")
        check_equal(self.vaults_of(self.first), ["usb"], "vaults of what was deleted in the first one")
        ember("backup", "verify", self.first)
        ember("vault", "replicate", "nas", "usb", check_code=DONE)
        check_equal(self.vaults_of(self.first), ["usb"], "vaults after another replication")
        step("what was deleted in the first vault is still in the second")


def test():
    with Estate(["n1", "n2", "n3"]) as estate:
        estate.apply(describe(estate))
        story = Story(estate)
        story.copies_by_itself()
        story.copies_although_its_agent_dies()
        story.keeps_to_the_limit()
        story.heals()
        story.verifies_a_copy()
        story.compares()
        story.notices_a_disk_put_back()
        story.serves_while_the_first_is_away()
        story.keeps_what_is_deleted()


run(test, limit_seconds=280)
