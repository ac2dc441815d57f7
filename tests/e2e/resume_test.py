"""What an interrupted backup sent is not sent again: counted at the network device, whatever died in the middle.

The agent is killed, the vault is killed, the link is cut. Of a killed agent and a cut link all that had reached the vault
counts; of a killed vault what it had made durable, its published packs.
"""
import json
import os

from estate import Estate, check, disk_bytes, files, run, run_checked, step, wait_for, write_noise

DATA_MIB = 320
BEFORE = 170 << 20  # in the vault when it is hit
# Headers of TCP and TLS, records' own headers, and what was under way at that instant.
SLACK = 24 << 20


def sent(node):
    """Bytes that left the node since its device was made."""
    stats = run_checked("ip", "netns", "exec", node.space.name, "ip", "-s", "-j", "link", "show", "eth0")
    return json.loads(stats)[0]["stats64"]["tx"]["bytes"]


def describe(estate, vault):
    return {"vaults": [{"name": "main", "node": "nas", "path": vault, "parity": False}],
            "workloads": [{"name": name, "node": "n1", "service": "none", "sources": files(f"{estate.srv}/{name}"),
                           "recovery": {"mode": "manual"}} for name in ("agent", "vault", "link")]}


def interrupted(estate, name, directory, hit, mend):
    """Backs `name` up; `hit` in the middle, then `mend`. How much of it was in the vault, how much was sent after that."""
    n1 = estate.nodes["n1"]
    before = disk_bytes(directory)
    backup = estate.begin("--timeout", "150", "backup", "run", name)
    wait_for(lambda: disk_bytes(directory) - before > BEFORE, 60, f"half of '{name}' is in the vault", pause=0.02)
    kept = disk_bytes(directory) - before
    hit()
    check(backup.poll() is None, "the backup had ended before it was hit")
    after = sent(n1)
    mend()
    out, err = backup.communicate(timeout=180)
    check(backup.returncode == 0, f"{out.decode()}{err.decode()}")
    again = sent(n1) - after
    rest = (DATA_MIB << 20) - kept
    check(again < rest + SLACK, f"{kept >> 20} of {DATA_MIB} MiB were there, {again >> 20} MiB were sent after that")
    check(again > rest // 2, f"{again >> 20} MiB cannot be the missing {rest >> 20}: the counter lies")
    estate.ember("backup", "verify", f"{name}@latest")
    step(f"{name}: {kept >> 20} of {DATA_MIB} MiB were there, {again >> 20} MiB were sent for the missing {rest >> 20}")


def test():
    with Estate(["n1", "nas"], isolated=True) as estate:
        n1, nas = estate.nodes["n1"], estate.nodes["nas"]
        vault = f"{nas.directory}/vault"
        for name in ("agent", "vault", "link"):
            os.makedirs(f"{n1.srv}/{name}")
            write_noise(f"{n1.srv}/{name}/data", DATA_MIB)
        estate.apply(describe(estate, vault))
        # So slow that it is hit in the middle.
        run_checked("ip", "netns", "exec", n1.space.name, "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate",
                    "400mbit", "burst", "256kb", "latency", "50ms")

        interrupted(estate, "agent", vault, n1.kill_agent, n1.start)

        def start_vault():
            nas.start()
            wait_for(lambda: estate.node("nas")["state"] == "ALIVE", 60, "the vault's node is back")
        interrupted(estate, "vault", f"{vault}/packs", nas.kill_agent, start_vault)

        def heal():
            wait_for(lambda: estate.node("n1")["state"] != "ALIVE", 60, "the cut is noticed")
            n1.heal()
        interrupted(estate, "link", vault, n1.cut, heal)


run(test, limit_seconds=280)
