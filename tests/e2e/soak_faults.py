"""The faults of the soak: which ones, in which order and for how long, and how each strikes and is healed."""
import collections
import contextlib
import os
import signal

from estate import Ballast, Failure, kill, wait_for
from soak_workload import processes

Fault = collections.namedtuple("Fault", "kind seconds companion")  # the companion strikes while this one lasts

# So long that a silent host is dead and its services run elsewhere.
FAIL_OVER_SECONDS = 48
# What makes a host silent, and so may have it judged dead.
SILENT = ("power_loss", "cut", "mute", "deafen", "mute_to_controller", "kill_agent", "pause_agent")
KINDS = {"kill_service": 3, "kill_service_again_and_again": 2, "kill_guard": 2, "kill_controller": 3, "fill_disk": 3,
         "power_loss": 4, "cut": 3, "mute": 1, "deafen": 1, "mute_to_controller": 2, "kill_agent": 3, "pause_agent": 2}
COMPANIONS = {"kill_service": 3, "kill_controller": 3, "kill_agent": 2, "power_loss": 0.5, "cut": 0.5}


def choose(dice, weights):
    return dice.choices(list(weights), list(weights.values()))[0]


def seconds_of(dice, kind, long=None):
    """Often short; otherwise around the time at which a silent host is judged dead."""
    if kind in SILENT:
        long = dice.random() < 0.33 if long is None else long
        return dice.uniform(30, 52) if long else dice.uniform(0.5, 14)
    if kind == "kill_controller":
        return dice.uniform(15, 40) if dice.random() < 0.2 else dice.uniform(0, 6)
    return dice.uniform(0, 8)


def plan(dice, count):
    """One of each sort first, of which one host dies for good; then as the dice fall, some with another one on top."""
    first = ["kill_service", "kill_service_again_and_again", "kill_controller", "fill_disk", "power_loss", "cut",
             dice.choice(["mute", "deafen", "mute_to_controller"]), "kill_agent",
             dice.choice(["pause_agent", "kill_guard"])]
    dice.shuffle(first)
    faults = [Fault(kind, FAIL_OVER_SECONDS if kind == "power_loss" else seconds_of(dice, kind, long=False), None)
              for kind in first]
    while len(faults) < count:
        kind, companion = choose(dice, KINDS), None
        # A controller that starts on a full disk waits for room; that would be no other fault.
        others = {name: weight for name, weight in COMPANIONS.items() if name != kind and kind != "fill_disk"}
        if others and dice.random() < 0.25:
            name = choose(dice, others)
            companion = Fault(name, seconds_of(dice, name, long=False), None)
        faults.append(Fault(kind, seconds_of(dice, kind), companion))
    return faults[:count]


class Faults:
    """Each strikes, yields what it hit, and is healed after that."""

    def __init__(self, estate, dice, services):
        self.estate, self.dice, self.services = estate, dice, services
        self.hit = set()  # the hosts that are under one

    @contextlib.contextmanager
    def strike(self, fault):
        with contextlib.contextmanager(getattr(self, fault.kind))() as text:
            yield f"{fault.kind}{' of ' if text else ''}{text}"

    @contextlib.contextmanager
    def host(self, share=0.6):
        """One that is not hit yet: in this share of the cases one where an exclusive service is, otherwise any."""
        names = [name for name in self.estate.nodes if name not in self.hit]
        busy = [node.name for name in self.services for node, _ in processes(self.estate, name) if node.name in names]
        name = self.dice.choice(busy if busy and self.dice.random() < share else names)
        self.hit.add(name)
        yield self.estate.nodes[name]
        self.hit.remove(name)

    def pick_service(self):
        """(name, host, pid) of an exclusive service that runs."""
        found = [(name, node, pid) for name in self.services for node, pid in processes(self.estate, name)]
        return self.dice.choice(found) if found else ("", None, None)

    def kill_service(self):
        name, node, pid = self.pick_service()
        if pid:
            kill(pid)
        yield f"{name} on {node.name}" if pid else "none, for none runs"

    def kill_service_again_and_again(self):
        """More often than its agent starts it again."""
        name, node, _ = self.pick_service()
        killed = []

        def next_pid():
            here = [pid for other, pid in processes(self.estate, name) if other is node and pid not in killed]
            return here[0] if here else None

        with contextlib.suppress(Failure):  # its agent has given it up
            while node and len(killed) < 4:
                killed.append(wait_for(next_pid, 6, "it is started again"))
                kill(killed[-1])
        yield f"{name} on {node.name}, {len(killed)} times" if node else "none, for none runs"

    def kill_guard(self):
        name, node, _ = self.pick_service()
        pid = node and node.guard_pid(name)
        if pid:
            kill(pid)
        yield f"{name} on {node.name}" if pid else "none, for none runs"

    def kill_controller(self):
        self.estate.kill_em()
        yield ""
        self.estate.start_em()

    def kill_agent(self):
        with self.host() as node:
            node.kill_agent()
            yield node.name
            node.start()

    def power_loss(self):
        with self.host(share=0.9) as node:
            node.lose_power()
            yield node.name
            node.start()

    def pause_agent(self):
        with self.host() as node:
            pid = node.agent_pid()
            kill(pid, signal.SIGSTOP)
            yield node.name
            kill(pid, signal.SIGCONT)

    def cut(self):
        with self.host() as node:
            node.cut()
            yield node.name
            node.heal()

    def mute(self):
        with self.host() as node:
            node.mute()
            yield node.name
            node.heal()

    def deafen(self):
        with self.host() as node:
            node.deafen()
            yield node.name
            node.heal()

    def mute_to_controller(self):
        """The other hosts still hear it, and are heard."""
        with self.host() as node:
            node.mute(self.estate.hub)
            yield node.name
            node.heal()

    def fill_disk(self):
        nodes = self.estate.nodes
        disks = {"the controller": self.estate.em_state, "the vault": f"{nodes['n4'].directory}/vault",
                 **{f"the agent of {name}": node.state for name, node in nodes.items()},
                 **{f"the data of {name}": node.srv for name, node in nodes.items()}}
        what = self.dice.choice(list(disks))
        with Ballast(disks[what], spare=self.dice.choice([0, 0, 4 << 10, 256 << 10])):
            yield what
