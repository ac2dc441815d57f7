"""kill -9 in the middle of everything: the agent, the vault's agent, the EM; during a backup, a restore, a recovery.

In the middle means: bytes have reached the vault's disk, or files the staging directory, before the kill, and the end is
on record only after it.
Afterwards all goes on by itself, nothing acknowledged is lost, nothing is done twice, and services run on as long as
only their agent dies.
"""
import os
import subprocess
import time

from estate import (Estate, check, check_equal, check_same_tree, count_files, disk_bytes, exec_service, files, instant,
                    kill, nasty_tree, remove_tree, run, step, wait_for)

SENT_MIN = 1 << 20  # bytes at the vault that make a backup be under way
STAGED_MIN = 100  # files in staging that make a restore be under way


def describe(estate):
    n1, n2 = estate.nodes["n1"], estate.nodes["n2"]
    return {
        "vaults": [{"name": "nas", "node": "n2", "path": f"{n2.directory}/vault"}],
        "policies": [{"name": "daily", "schedule": "*-*-* 07:00", "vaults": ["nas"]}],
        "workloads": [{
            "name": "svc", "node": "n1", "policies": ["daily"], "sources": files(f"{n1.srv}/data"),
            "service": exec_service("/usr/bin/tail", "-f", f"{n1.srv}/log"),
            "health": {"process": True, "every": "1s", "failures": 3}}]}


def staged(*directories):
    """Files in the staging directories that a restore has in these."""
    return sum(count_files(os.path.join(parent, name)) for parent in directories if os.path.isdir(parent)
               for name in os.listdir(parent) if name.startswith(".ember-restore-"))


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

    def kill(self, victim):
        """When it was dead."""
        {"agent": self.n1.kill_agent, "vault_agent": self.n2.kill_agent, "em": self.estate.kill_em}[victim]()
        return time.time()

    def revive(self, victim):
        {"agent": self.n1.start, "vault_agent": self.n2.start, "em": self.estate.start_em}[victim]()

    def check_ended_after(self, killed, event_type):
        """What was under way was not over before the kill."""
        ended = instant(self.estate.events(event_type)[-1]["time"])
        check(ended > killed, f"{event_type} is {killed - ended:.3f} s older than the kill: it hit nothing")

    # --- what it is killed in

    def change_data(self):
        """New content in the place of the last, so that a backup has everything to send."""
        if self.changes > 0:
            remove_tree(f"{self.data}/new{self.changes}")
        self.changes += 1
        subprocess.run(["cp", "-a", "/usr/include", f"{self.data}/new{self.changes}"], check=True)
        subprocess.run(["find", f"{self.data}/new{self.changes}", "-type", "f", "-size", "-100k", "-exec", "sh", "-c",
                        'for file; do echo "/* $0 */" >> "$file"; done', str(self.changes), "{}", "+"], check=True)
        nasty_tree(f"{self.data}/new{self.changes}/nasty", 100)

    def during_backup(self, victim):
        self.change_data()
        pid = self.n1.pid("tail -f")
        before = {backup["id"] for backup in self.estate.backups("svc")}
        vault = f"{self.n2.directory}/vault"
        stored = disk_bytes(vault)
        asked = self.estate.ember("backup", "run", "svc", "--no-wait", "--json").json
        wait_for(lambda: disk_bytes(vault) > stored + SENT_MIN, 30, "bytes of the backup reach the vault", pause=0.05)
        killed = self.kill(victim)
        step(f"  {victim} killed with {disk_bytes(vault) - stored} bytes of the backup at the vault")
        self.revive(victim)
        check_equal(self.n1.pid("tail -f"), pid, "the service's process, after a crash during a backup")

        def new_backup():
            new = [b for b in self.estate.backups("svc") if b["id"] not in before]
            return new if new and all(b["outcome"] not in ("PENDING", "RUNNING") for b in new) else None

        new = wait_for(new_backup, 150, f"the backup of {asked['id']} has ended")
        check_equal([b["outcome"] for b in new], ["OK"], "what came of the one backup that was asked for")
        self.check_ended_after(killed, "backup.ok")
        self.good.append(new[0]["id"])
        check_equal(self.n1.pid("tail -f"), pid, "the service's process, in the end")

    def during_restore(self, victim):
        target = f"{self.n1.directory}/restored"
        waiting = self.estate.begin("--timeout", "60", "restore", self.good[-1], "--to", f"n1:{target}", "--yes")
        wait_for(lambda: staged(self.n1.directory, target) > STAGED_MIN, 60, "the restore writes files", pause=0.05)
        killed = self.kill(victim)
        step(f"  {victim} killed with {staged(self.n1.directory, target)} files restored")
        self.revive(victim)
        out, err = waiting.communicate(timeout=150)
        check(waiting.returncode == 0, f"restore: exit code {waiting.returncode}: {out.decode()}{err.decode()}")
        self.check_ended_after(killed, "restore.ok")
        check_same_tree(self.data, target)
        remove_tree(target)

    def during_recovery(self, victim):
        os.rename(self.data, self.kept)
        kill(self.n1.pid("tail -f"))
        wait_for(lambda: staged(self.n1.srv, self.data) > STAGED_MIN, 60, "the recovery writes files", pause=0.05)
        killed = self.kill(victim)
        step(f"  {victim} killed with {staged(self.n1.srv, self.data)} files restored")
        self.revive(victim)
        self.recovered += 1
        recovery = self.estate.wait_recovered("svc", count=self.recovered, seconds=150)
        started = next(s["time"] for s in recovery["steps"] if s["state"] == "STARTING")
        check(instant(started) > killed, "the restore had ended before the kill: it hit nothing")
        check_same_tree(self.kept, self.data)
        check_equal(len(self.n1.pids("tail -f")), 1, "processes of the service after the recovery")
        remove_tree(self.kept)
        return recovery


def test():
    with Estate(["n1", "n2"], in_memory=True) as estate:
        crash = Crash(estate)
        os.mkdir(crash.data)
        open(f"{crash.n1.srv}/log", "w").close()
        crash.change_data()
        step(f"data made: {count_files(crash.data)} files")
        estate.apply(describe(estate))
        estate.wait_running("svc")
        crash.good.append(estate.backup("svc")["id"])
        for name in ("agent", "vault_agent", "em"):
            crash.during_backup(name)
            step(f"{name} killed during a backup")
            crash.during_restore(name)
            step(f"{name} killed during a restore")
            recovery = crash.during_recovery(name)
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
