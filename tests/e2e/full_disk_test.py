"""Full disks: of the vault, of the EM, of an agent. Said with the reason; nothing acknowledged is lost, nothing stops."""
import os

from estate import (FAILED, Ballast, Estate, check, check_equal, check_same_tree, exec_service, files, remove_tree, run,
                    small_disk, step, wait_for)

FILE_BYTES = 4 << 20


def check_says_full(answer):
    text = (answer.out + answer.err).lower()
    check("no space left" in text or "disk full" in text, f"nobody says that a disk is full:\n{text}")


class FullDisk:
    def __init__(self, estate):
        self.estate = estate
        self.n1, self.n2 = estate.nodes["n1"], estate.nodes["n2"]
        self.data = f"{self.n1.srv}/data"
        self.vault = f"{self.n2.directory}/vault"
        self.changes = 0

    def change_data(self):
        self.changes += 1
        with open(f"{self.data}/{self.changes}", "wb") as file:
            file.write(os.urandom(FILE_BYTES))

    def good_backup(self):
        self.change_data()
        backup = self.estate.backup("svc")
        check_equal((backup["outcome"], backup["verified"]), ("OK", True), "a backup with room for it")
        return backup["id"]

    def check_whole(self, backup):
        self.estate.ember("backup", "verify", backup)
        target = f"{self.n1.directory}/restored"
        self.estate.ember("restore", backup, "--to", f"n1:{target}", "--yes")
        check_same_tree(self.data, target)
        remove_tree(target)

    def of_the_vault(self):
        good = self.good_backup()
        with Ballast(self.vault):
            self.check_whole(good)
            self.change_data()
            check_says_full(self.estate.ember("backup", "run", "svc", check_code=FAILED))
            check_equal(self.estate.workload("svc")["last_backup"], good, "the last good backup")
            os.unlink(f"{self.data}/{self.changes}")
            self.estate.ember("backup", "verify", good)
        self.check_whole(self.good_backup())
        step("the vault's disk full: the backup fails with the reason, earlier ones are whole")

    def of_the_agent(self):
        good = self.good_backup()
        with Ballast(self.n1.state):
            answer = self.estate.ember("backup", "run", "svc", check_code=FAILED, seconds=60)
            answer.expect_text("n1")
            check_says_full(answer)
            check_equal(self.estate.node("n1")["state"], "ALIVE", "the node with the full disk")
        self.check_whole(good)
        self.check_whole(self.good_backup())
        step("the agent's disk full: the order fails with the reason")

    def of_the_em(self):
        good = self.good_backup()
        with Ballast(self.estate.em_state):
            answer = self.estate.ember("backup", "run", "svc", check_code=FAILED, seconds=60)
            check_says_full(answer)
            # Longer than the lease: who cannot write must not let others fall silent.
            self.n1.stop_agent()
            self.n1.start()
            wait_for(lambda: self.estate.node("n1")["state"] == "ALIVE", 30, "a restarted agent is ALIVE")
            check_equal(self.estate.ask("status")["workloads"][0]["last_backup"], good, "what status shows")
            check(self.estate.em.running(), "the EM ended")
        self.check_whole(self.good_backup())
        check_equal(self.estate.ask("log", "verify")["intact"], True, "the event log")
        step("the EM's disk full: it runs on, and so does all else")


def test():
    estate = Estate(["n1", "n2"])
    small_disk(estate.em_state, 128)
    small_disk(f"{estate.work}/n1/state", 16)
    small_disk(f"{estate.work}/n2/vault", 192)
    with estate:
        disk = FullDisk(estate)
        os.mkdir(disk.data)
        open(f"{disk.n1.srv}/log", "w").close()
        estate.apply({
            "vaults": [{"name": "nas", "node": "n2", "path": disk.vault}],
            "policies": [{"name": "daily", "schedule": "*-*-* 07:00", "vaults": ["nas"]}],
            "workloads": [{"name": "svc", "node": "n1", "policies": ["daily"], "sources": files(disk.data),
                           "service": exec_service("/usr/bin/tail", "-f", f"{disk.n1.srv}/log"),
                           "health": {"process": True, "every": "1s", "failures": 3}}]})
        estate.wait_running("svc")
        pid = disk.n1.pid("tail -f")
        disk.of_the_vault()
        disk.of_the_agent()
        disk.of_the_em()
        check_equal(disk.n1.pid("tail -f"), pid, "the service's process, after all")
        check_equal([event["type"] for event in estate.events() if event["type"].startswith(("node.dead", "recovery."))],
                    [], "deaths and recoveries")


run(test, limit_seconds=200)
