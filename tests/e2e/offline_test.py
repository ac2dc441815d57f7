"""Nothing is left but a disk and a sheet of paper: no controller, no agents, no index.

A nasty tree is backed up. Then everything that runs is killed, the controller's state and the vault's index are deleted,
and the vault is mounted read-only. With the recovery kit alone the tree comes back to the last bit, nothing is written to
the vault, and an interrupted restore leaves nothing behind.
"""
import os
import shutil
import signal
import subprocess

from estate import (DAMAGED, FAILED, NOT_FOUND, REFUSED, USAGE, Estate, check, check_equal, check_same_tree, count_files,
                    files, nasty_tree, remove_tree, run, run_checked, step, tail, wait_for)

BIG_BYTES = 384 << 20  # takes long enough to restore for a Ctrl-C to come in time


class Rescue:
    """A machine that has `ember`, a copy of the kit and the disk of the dead NAS; no EM, no identity."""

    def __init__(self, estate, vault, kit):
        self.estate, self.vault, self.kit = estate, vault, kit
        self.environment = {"PATH": os.environ["PATH"], "HOME": f"{estate.work}/nobody"}

    def command(self, verb, *arguments):
        return self.estate.command("vault", verb, self.vault, *arguments, "--kit", self.kit)

    def ember(self, verb, *arguments, code=0):
        result = subprocess.run(self.command(verb, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                stdin=subprocess.DEVNULL, timeout=120, env=self.environment)
        out, err = result.stdout.decode(errors="backslashreplace"), result.stderr.decode(errors="backslashreplace")
        check(result.returncode == code, f"ember vault {verb} {arguments}: {result.returncode}, expected {code}\n"
              f"{tail(out + err, 20)}")
        return out + err


def everything(directory):
    """Names, sizes and times of a tree: what a write would change."""
    found = {}
    for folder, dirs, names in os.walk(directory):
        for name in dirs + names:
            path = os.path.join(folder, name)
            info = os.lstat(path)
            found[path] = (info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino)
    return found


def bury(estate, vault):
    kit = f"{estate.work}/paper.txt"
    shutil.copy(f"{estate.em_state}/recovery-kit.txt", kit)
    estate.kill_em()
    for node in estate.nodes.values():
        node.kill_agent()
    shutil.rmtree(estate.em_state)
    for node in estate.nodes.values():
        shutil.rmtree(node.state)
    shutil.rmtree(f"{vault}/index")
    return kit


def mount_read_only(directory, at):
    os.mkdir(at)
    run_checked("mount", "--bind", directory, at)
    run_checked("mount", "-o", "remount,bind,ro", at)


def check_interrupted(rescue, backup, place):
    """SIGINT while a large file is written: exit code 1, and the target's directory is as it was."""
    os.mkdir(place)
    process = subprocess.Popen(rescue.command("restore", backup, "--to", f"{place}/target"), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=rescue.environment)
    wait_for(lambda: process.poll() is not None or os.listdir(place), 60, "the restore writes")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    check_equal(process.returncode, FAILED, f"exit code after Ctrl-C ({out + err})")
    check_equal(os.listdir(place), [], "what is left of an interrupted restore")


def check_killed(rescue, backup, place, tree):
    """kill -9 leaves a staging directory; the same restore again takes it away and ends well."""
    process = subprocess.Popen(rescue.command("restore", backup, "--to", f"{place}/target"), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=rescue.environment)
    wait_for(lambda: process.poll() is not None or os.listdir(place), 60, "the restore writes")
    process.kill()
    check_equal(process.wait(60), -signal.SIGKILL, "exit code of a killed restore")
    check(not os.path.exists(f"{place}/target"), "a killed restore shows half a tree")
    rescue.ember("restore", backup, "--to", f"{place}/target")
    check_same_tree(tree, f"{place}/target")
    check_equal(os.listdir(place), ["target"], "what is left beside a restore that was killed and repeated")


def test():
    with Estate(["n1", "n2"]) as estate:
        n1, n2 = estate.nodes.values()
        tree, vault = f"{n1.srv}/tree", f"{n2.directory}/vault"
        nasty_tree(tree, 2000)
        with open(f"{tree}/big", "wb") as big:
            for _ in range(BIG_BYTES >> 20):
                big.write(os.urandom(1 << 20))
        estate.apply({
            "vaults": [{"name": "nas", "node": "n2", "path": vault}],
            "policies": [{"name": "daily", "schedule": "*-*-* 07:00", "vaults": ["nas"]}],
            "workloads": [{"name": "tree", "node": "n1", "policies": ["daily"], "sources": files(tree),
                           "service": "none", "recovery": {"mode": "manual"}}]})
        backup = estate.backup("tree")
        check_equal((backup["outcome"], backup["verified"]), ("OK", True), "the backup")
        step(f"{backup['id']}: {backup['files']} files of {count_files(tree)}")
        kit = bury(estate, vault)
        step("controller and agents killed, their state and the index deleted")
        disk = f"{estate.work}/disk"
        mount_read_only(vault, disk)
        before = everything(disk)
        rescue = Rescue(estate, disk, kit)

        listed = rescue.ember("ls")
        check(backup["id"] in listed and "1 backup" in listed, listed)
        target = f"{estate.work}/restored"
        answer = rescue.ember("restore", backup["id"], "--to", target)
        check("every checksum matched" in answer, answer)
        check_same_tree(tree, target)
        step("restored with the kit alone: the same")

        rescue.ember("restore", backup["id"], "--to", target, code=REFUSED)
        check_same_tree(tree, target)
        remove_tree(target)
        rescue.ember("restore", "tree@latest", "--to", target, "--path", f"{tree}/names")
        check_same_tree(f"{tree}/names", f"{target}/names")
        check_equal(os.listdir(target), ["names"], "what a restore of one path brings")
        rescue.ember("restore", "tree/1999", "--to", target, code=NOT_FOUND)
        step("a target that holds something is refused; one path comes alone")

        check_interrupted(rescue, backup["id"], f"{estate.work}/interrupted")
        check_killed(rescue, backup["id"], f"{estate.work}/interrupted", tree)
        step("Ctrl-C leaves nothing, kill -9 nothing that the next restore does not take away")

        wrong = Rescue(estate, disk, f"{estate.work}/wrong.txt")
        with open(kit) as right, open(wrong.kit, "w") as file:
            file.write("\n".join("recovery-key: " + "1" * 64 if "recovery-key" in line else line
                                 for line in right.read().splitlines()))
        wrong.ember("ls", code=USAGE)
        check_equal(everything(disk), before, "the vault after all that")
        step("a wrong kit opens nothing; the vault was not written to")

        for pack in (os.path.join(folder, name) for folder, _, names in os.walk(f"{vault}/packs") for name in names):
            os.truncate(pack, os.path.getsize(pack) // 2)
        told = rescue.ember("restore", backup["id"], "--to", f"{estate.work}/never", code=DAMAGED)
        check(backup["id"] in told and "'tree'" in told, told)
        check(not os.path.exists(f"{estate.work}/never"), "a restore that failed left something")
        step("packs cut in half: exit code 7, the backup and its workload named")


run(test, limit_seconds=200)
