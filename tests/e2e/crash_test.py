"""kill -9 in the middle of everything: the agent, the vault's agent, the EM; during a backup, a restore, a recovery.

Afterwards all goes on by itself, nothing acknowledged is lost, nothing is done twice, and services run on as long as
only their agent dies.
"""
import os
import subprocess

from estate import (Estate, check, check_equal, check_same_tree, count_files, exec_service, files, kill,
                    remove_tree, run, step, wait_for)

COPIES = 3  # of /usr/include: long enough to be in the middle of


def describe(estate):
    n1, n2 = estate.nodes["n1"], estate.nodes["n2"]
    return {
        "vaults": [{"name": "nas", "node": "n2", "path": f"{n2.directory}/vault"}],
        "policies": [{"name": "daily", "schedule": "*-*-* 07:00", "vaults": ["nas"]}],
        "workloads": [{
            "name": "svc", "node": "n1", "policies": ["daily"], "sources": files(f"{n1.srv}/data"),
            "service": exec_service("/usr/bin/tail", "-f", f"{n1.srv}/log"),
            "health": {"process": True, "every": "1s", "failures": 3}}]}


class Crash:
    def __init__(self, estate):
        self.estate = estate
        self.n1, self.n2 = estate.nodes["n1"], estate.nodes["n2"]
        self.data = f"{self.n1.srv}/data"
        self.kept = f"{self.n1.directory}/kept"
        self.good = []  # acknowledged backups
        self.changes = 0
        self.recovered = 0

    # --- what is killed, and how it comes back

    def agent(self):
        self.n1.kill_agent()
        self.n1.start()

    def vault_agent(self):
        self.n2.kill_agent()
        self.n2.start()

    def em(self):
        self.estate.kill_em()
        self.estate.start_em()

    # --- what it is killed in

    def change_data(self):
        """New content, so that a backup has something to send."""
        self.changes += 1
        subprocess.run(["cp", "-a", "/usr/include", f"{self.data}/new{self.changes}"], check=True)
        subprocess.run(["find", f"{self.data}/new{self.changes}", "-type", "f", "-size", "-100k", "-exec", "sh", "-c",
                        'for file; do echo "/* $0 */" >> "$file"; done', str(self.changes), "{}", "+"], check=True)

    def begun(self, kind, node, order):
        """True once `node` works on a new order of this kind."""
        text = f"/svc/{kind}/"
        with open(node.log) as log:
            lines = [line for line in log if "orders accepted" in line and text in line]
        return len(lines) > order

    def orders(self, kind, node):
        with open(node.log) as log:
            return len([line for line in log if "orders accepted" in line and f"/svc/{kind}/" in line])

    def during_backup(self, crash):
        self.change_data()
        pid = self.n1.pid("tail -f")
        before = {backup["id"] for backup in self.estate.backups("svc")}
        count = self.orders("backup", self.n1)
        asked = self.estate.ember("backup", "run", "svc", "--no-wait", "--json").json
        wait_for(lambda: self.begun("backup", self.n1, count), 20, "the backup has begun")
        crash()
        check_equal(self.n1.pid("tail -f"), pid, "the service's process, after a crash during a backup")

        def new_backup():
            new = [b for b in self.estate.backups("svc") if b["id"] not in before]
            return new if new and all(b["outcome"] not in ("PENDING", "RUNNING") for b in new) else None

        new = wait_for(new_backup, 150, f"the backup of {asked['id']} has ended")
        check_equal([b["outcome"] for b in new], ["OK"], "what came of the one backup that was asked for")
        self.good.append(new[0]["id"])
        check_equal(self.n1.pid("tail -f"), pid, "the service's process, in the end")

    def during_restore(self, crash):
        target = f"{self.n1.directory}/restored"
        count = self.orders("restore", self.n1)
        waiting = self.estate.begin("--timeout", "60", "restore", self.good[-1], "--to", f"n1:{target}", "--yes")
        # The first order only compares.
        wait_for(lambda: self.begun("restore", self.n1, count + 1), 30, "the restore has begun")
        crash()
        out, err = waiting.communicate(timeout=150)
        check(waiting.returncode == 0, f"restore: exit code {waiting.returncode}: {out.decode()}{err.decode()}")
        check_same_tree(self.data, target)
        remove_tree(target)

    def during_recovery(self, crash):
        count = self.orders("restore", self.n1)
        os.rename(self.data, self.kept)
        kill(self.n1.pid("tail -f"))
        wait_for(lambda: self.begun("restore", self.n1, count), 60, "the recovery restores")
        crash()
        self.recovered += 1
        recovery = self.estate.wait_recovered("svc", count=self.recovered, seconds=150)
        check_same_tree(self.kept, self.data)
        check_equal(len(self.n1.pids("tail -f")), 1, "processes of the service after the recovery")
        remove_tree(self.kept)
        return recovery


def test():
    with Estate(["n1", "n2"], in_memory=True) as estate:
        crash = Crash(estate)
        os.mkdir(crash.data)
        open(f"{crash.n1.srv}/log", "w").close()
        for number in range(COPIES):
            subprocess.run(["cp", "-a", "/usr/include", f"{crash.data}/include{number}"], check=True)
        step(f"data made: {count_files(crash.data)} files")
        estate.apply(describe(estate))
        estate.wait_running("svc")
        crash.good.append(estate.backup("svc")["id"])
        for name in ("agent", "vault_agent", "em"):
            victim = getattr(crash, name)
            crash.during_backup(victim)
            step(f"{name} killed during a backup")
            crash.during_restore(victim)
            step(f"{name} killed during a restore")
            recovery = crash.during_recovery(victim)
            step(f"{name} killed during a recovery: total {recovery['total_seconds']:.1f} s")

        listed = {backup["id"]: backup for backup in estate.backups("svc")}
        for backup in crash.good:
            check(backup in listed, f"{backup} was acknowledged and is gone")
            estate.ember("backup", "verify", backup)
        check_equal(sorted(b for b in listed if listed[b]["outcome"] == "OK"), sorted(crash.good),
                    "the backups, each once")
        check_equal(len(estate.events("backup.ok")), len(crash.good), "events of good backups")
        check_equal(len(estate.events("recovery.done")), crash.recovered, "events of recoveries")
        check_equal(estate.ask("log", "verify")["intact"], True, "the event log")
        target = f"{estate.nodes['n1'].directory}/oldest"
        estate.ember("restore", crash.good[-1], "--to", f"n1:{target}", "--yes")
        check_same_tree(crash.data, target)
        step("every acknowledged backup is whole")


run(test, limit_seconds=400)
