"""A damaged vault: said clearly, with exit code 7, and nothing is overwritten with what cannot be restored.

Each case damages the vault's files while its agent is down, on a copy of the same good vault.
"""
import glob
import os
import shutil
import struct
import subprocess

from estate import (DAMAGED, DONE, Estate, check, check_equal, check_same_tree, exec_service, files, flip, packs,
                    run, step, wait_for)

FILES = 24
FILE_BYTES = 400 << 10  # larger than a group: chunks of their own
DATA, LEAF = 1, 3       # RecordType of docs/formats.md


def truncate_packs(vault):
    for pack in packs(vault):
        os.truncate(pack, os.path.getsize(pack) // 2)


def records(pack, kind):
    """Where the records of this kind begin."""
    with open(pack, "rb") as file:
        content = file.read()
    at = content.find(b"EMRC")
    while at >= 0:
        if struct.unpack_from("<H", content, at + 6)[0] == kind:
            yield at
        at = content.find(b"EMRC", at + 1)


def flip_a_data_byte(vault):
    largest = packs(vault)[0]
    flip(largest, next(records(largest, DATA)) + 72 + 1000)


def flip_the_manifest(vault):
    found = 0
    for pack in packs(vault):
        for at in list(records(pack, LEAF)):
            flip(pack, at + 72 + 30)
            found += 1
    check(found > 0, "no part of a manifest in the vault")


def remove_packs(vault):
    for pack in packs(vault):
        os.unlink(pack)


def flip_every_block(vault):
    for pack in packs(vault):
        flip(pack, *range(100, os.path.getsize(pack), 4096))


def flip_the_record(vault):
    for path in glob.glob(f"{vault}/snaps/*/*"):
        flip(path, os.path.getsize(path) // 2)


def garble_the_index(vault):
    with open(f"{vault}/index/CURRENT", "w") as file:
        file.write("MANIFEST-nonsense\n")


def remove_the_index(vault):
    shutil.rmtree(f"{vault}/index")


# case -> (how, what restore and verify answer)
CASES = {
    "every pack cut in half": (truncate_packs, DAMAGED),
    "one byte of one chunk flipped": (flip_a_data_byte, DAMAGED),
    "the manifest flipped": (flip_the_manifest, DAMAGED),
    "every pack gone": (remove_packs, DAMAGED),
    "a byte of every block of every pack flipped": (flip_every_block, DAMAGED),
    "the backup's record flipped": (flip_the_record, DAMAGED),
    "an index that is garbage": (garble_the_index, DONE),
    "no index": (remove_the_index, DONE),
}


class Damage:
    def __init__(self, estate):
        self.estate = estate
        self.n1, self.n2 = estate.nodes["n1"], estate.nodes["n2"]
        self.data = f"{self.n1.srv}/data"
        self.vault = f"{self.n2.directory}/vault"
        self.good = f"{self.n2.directory}/good"
        self.kept = f"{self.n1.directory}/kept"

    def put(self, how):
        """The good vault with one damage, served."""
        shutil.rmtree(self.vault, ignore_errors=True)
        subprocess.run(["cp", "-a", self.good, self.vault], check=True)
        how(self.vault)
        self.n2.start()
        wait_for(lambda: self.n2.state_seen() == "ALIVE", 60, "the vault's node is ALIVE")

    def check_case(self, backup, code):
        verify = self.estate.ember("backup", "verify", backup, check_code=code)
        with open(f"{self.data}/mine", "w") as file:
            file.write("since the backup\n")
        shutil.rmtree(self.kept, ignore_errors=True)
        subprocess.run(["cp", "-a", self.data, self.kept], check=True)
        restore = self.estate.ember("restore", backup, "--yes", check_code=code)
        self.estate.wait_running("svc")
        if code == DONE:
            check(not os.path.exists(f"{self.data}/mine"), "what was made since the backup is still there")
            return
        for answer in (verify, restore):
            answer.expect_text("svc")
        check_same_tree(self.kept, self.data)
        check_equal([name for name in os.listdir(self.n1.srv) if "ember" in name], [], "leftovers beside the data")

    def run(self):
        backup = self.estate.backup("svc")
        check_equal((backup["outcome"], backup["verified"]), ("OK", True), "the backup")
        self.n2.stop_agent()
        os.rename(self.vault, self.good)
        for name, (how, code) in CASES.items():
            self.put(how)
            self.check_case(backup["id"], code)
            self.n2.stop_agent()
            step(f"{name}: exit code {code}")

    def check_path(self):
        """A damaged chunk is named with its file."""
        self.put(flip_a_data_byte)
        backup = self.estate.backups("svc")[0]["id"]
        self.estate.ember("restore", backup, "--yes", check_code=DAMAGED).expect_text("svc", f"{self.data}/"[1:])
        step("a damaged chunk is named with its file")


def test():
    with Estate(["n1", "n2"]) as estate:
        damage = Damage(estate)
        os.mkdir(damage.data)
        for number in range(FILES):
            with open(f"{damage.data}/{number}", "wb") as file:
                file.write(os.urandom(FILE_BYTES))
        open(f"{damage.n1.srv}/log", "w").close()
        estate.apply({
            "vaults": [{"name": "nas", "node": "n2", "path": damage.vault}],
            "policies": [{"name": "daily", "schedule": "*-*-* 07:00", "vaults": ["nas"]}],
            "workloads": [{"name": "svc", "node": "n1", "policies": ["daily"], "sources": files(damage.data),
                           "service": exec_service("/usr/bin/tail", "-f", f"{damage.n1.srv}/log"),
                           "health": {"process": True, "every": "1s", "failures": 3}}]})
        estate.wait_running("svc")
        damage.run()
        damage.check_path()
        check_equal(estate.events("recovery.done"), [], "recoveries: nothing died")


run(test, limit_seconds=220, root=False)
