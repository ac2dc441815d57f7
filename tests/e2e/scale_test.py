"""More agents than any homelab has, over real connections: the controller bears them, and comes back to them all.

Each has a connection with TLS and a certificate of its own (ember-bench-many-agents). 300 of them here; with EMBER_LONG=1, or
EMBER_AGENTS=N, 5,000: then the targets are judged, too (at most 50 % of one core, 150 KB per connection). Nobody is ever
declared DEAD who beats, not when the controller is killed and all come back at once either.
"""
import json
import os
import resource
import subprocess
import time

from estate import DONE, Estate, Process, check, check_equal, instant, program, run, step, wait_for

LONG = os.environ.get("EMBER_LONG")
AGENTS = int(os.environ.get("EMBER_AGENTS", 5000 if LONG else 300))
QUIET = 60 if LONG else 10  # seconds in which nothing happens
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_bytes(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS:"))


class Crowd:
    def __init__(self, estate, path):
        self.out = f"{estate.logs}/crowd.log"
        self.process = Process([program("ember-bench-many-agents"), "run", path, estate.em_address], self.out)

    def now(self):
        with open(self.out, "rb") as out:
            out.seek(max(0, os.path.getsize(self.out) - 4096))
            lines = [line for line in out.read().decode(errors="replace").splitlines(True) if line.endswith("}\n")]
        return json.loads(lines[-1][lines[-1].index("{"):]) if lines else {"connected": 0, "beats": 0, "failures": 0}

    def wait_all(self, seconds):
        begin = time.monotonic()
        wait_for(lambda: self.now()["connected"] == AGENTS, seconds, f"all {AGENTS} are connected", pause=0.5)
        return time.monotonic() - begin


def states(estate):
    found = {}
    for node in estate.ask("node", "list")["items"]:
        found[node["state"]] = found.get(node["state"], 0) + 1
    return found


def heard_since(estate, when):
    """How many; a count of connections may be of a moment before the controller was killed. While all come back at once
    nobody else may get through."""
    answer = estate.ember("node", "list", "--json", check_code=None)
    return sum(instant(node["last_beat"]) > when for node in answer.json["items"]) if answer.code == DONE else 0


def lost(estate):
    return [e for e in estate.events("node.state") if "DEAD" in e["message"]]


def test():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    check(hard > AGENTS + 1000, f"{AGENTS} connections need more than {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Estate([]) as estate:
        estate.kill_em()
        path = f"{estate.work}/agents"
        subprocess.run([program("ember-bench-many-agents"), "enrol", estate.em_state, str(AGENTS), path], check=True)
        estate.start_em()
        pid, empty = estate.em.pid, resident_bytes(estate.em.pid)
        crowd = Crowd(estate, path)
        step(f"{AGENTS} agents are connected after {crowd.wait_all(300):.1f} s")
        wait_for(lambda: states(estate) == {"ALIVE": AGENTS}, 60, "all are ALIVE")

        before, cpu, begin = crowd.now(), cpu_seconds(pid), time.monotonic()
        wait_for(lambda: time.monotonic() > begin + QUIET, QUIET + 5, "some time to be measured")
        seconds = time.monotonic() - begin
        share = (cpu_seconds(pid) - cpu) / seconds
        each = (resident_bytes(pid) - empty) / AGENTS
        beats = crowd.now()["beats"] - before["beats"]
        step(f"{beats / seconds:.0f} beats a second, one per {AGENTS * seconds / beats:.1f} s and agent: "
             f"{share * 100:.0f} % of a core, {each / 1000:.0f} KB per connection, "
             f"slowest answer {crowd.now()['slowest']:.2f} s, tick {estate.ask('status')['em']['tick_millis_max']} ms at most")
        check_equal(crowd.now()["failures"], before["failures"], "beats that failed")
        check(AGENTS * seconds / beats < 5, "they beat less than once in 5 s")
        if LONG:
            check(share <= 0.5, f"the controller used {share * 100:.0f} % of a core")
            check(each <= 150e3, f"a connection costs {each / 1000:.0f} KB")

        estate.kill_em()
        killed, begin = time.time(), time.monotonic()
        estate.start_em()
        wait_for(lambda: heard_since(estate, killed) == AGENTS, 300, f"all {AGENTS} are heard again", pause=2)
        step(f"the controller was killed: all are back after {time.monotonic() - begin:.1f} s")
        wait_for(lambda: states(estate) == {"ALIVE": AGENTS}, 60, "all are ALIVE")
        check_equal(lost(estate), [], "agents that were thought dead")
        check(crowd.process.running(), "the crowd has gone")
        check_equal(crowd.process.kill(15), 0, "exit code of the crowd")
        step("nobody was thought dead")


run(test, limit_seconds=900 if LONG else 200, root=False)
