"""What tests/bench/vault prints: Markdown tables of medians, and which target is met."""
import collections
import dataclasses
import os
import platform
import statistics

from vault_tree import GIB, MIB

PEERS = ("restic", "borg")
BYTES = ("stored", "added", "read", "left")  # figures that are bytes
AGENT_RSS, VAULT_RSS = 256 * MIB, 512 * MIB


class Results:
    """What was measured, by row and tool; and why something was not."""

    def __init__(self):
        self.measures = collections.defaultdict(list)  # (row, tool) -> Measure of each run
        self.figures = collections.defaultdict(list)   # (row, tool, what) -> number of each run
        self.reasons = {}                              # (row, tool) -> text
        self.sizes, self.titles = {}, {}               # row -> bytes of the tree, text
        self.profiles = {}                             # row -> text
        self.peaks = []                                # (RSS of agent, of vault, where) beside those of the measures
        self.mixed = None                              # the Tree of that name
        self.notes = []                                # to stand below the tables

    def begin(self, row, title, size=None):
        self.titles[row], self.sizes[row] = title, size

    def has(self, row, tool):
        return bool(self.measures.get((row, tool))) or any(place[:2] == (row, tool) for place in self.figures)

    def wall(self, row, tool):
        return self._median([each.wall for each in self.measures.get((row, tool), [])])

    def figure(self, row, tool, what):
        return self._median(self.figures.get((row, tool, what), []))

    def cpu_per_gib(self, row, tool):
        cpu = self._median([each.cpu for each in self.measures.get((row, tool), [])])
        return cpu / (self.sizes[row] / GIB) if cpu is not None and self.sizes.get(row) else None

    def better_peer(self, value):
        """(name, value): the peer for which `value(name)` is the least."""
        found = [(value(name), name) for name in PEERS if value(name) is not None]
        return min(found)[::-1] if found else (None, None)

    def why(self, *places):
        """Of the first of (row, tool) that has a reason."""
        return next((self.reasons[place] for place in places if place in self.reasons), "it was not run")

    @staticmethod
    def _median(values):
        return statistics.median(values) if values else None


def spread(values, digits=2):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def machine():
    with open("/proc/cpuinfo") as file:
        models = {line.split(":", 1)[1].strip() for line in file if line.startswith("model name")}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    model = " / ".join(sorted(models)) or platform.machine()
    return f"{os.cpu_count()} x {model}, {memory:.0f} GiB, Linux {platform.release()}, load {load}"


def one_line(text):
    return " ".join(str(text).split())[:300]


def print_rows(results, tools, runs):
    print(f"\nMedians of {runs} runs (smallest-largest). × is the tool's time by Ember's.\n")
    print("| work | tool | seconds | × | CPU s | CPU s/GiB | peak RSS MiB | bytes |\n|---|---|---|---|---|---|---|---|")
    for row, title in results.titles.items():
        for tool in tools:
            place = row, tool.name
            measures = results.measures.get(place, [])
            if not measures:
                if place in results.reasons and not results.has(*place):
                    print(f"| {title} | {tool.name} | not measured: {one_line(results.reasons[place])} | | | | | |")
                continue
            few = f", {len(measures)} runs" if len(measures) != runs else ""
            ember = results.wall(row, "ember")
            ratio = f"{results.wall(*place) / ember:.2f}" if ember else ""
            cpu = spread([each.cpu for each in measures])
            if measures[0].em_cpu is not None:
                cpu += f" + EM {statistics.median(each.em_cpu for each in measures):.2f}"
            per_gib = results.cpu_per_gib(*place)
            rss = spread([each.rss / MIB for each in measures], 0)
            if measures[0].vault_rss is not None:
                rss += f"; vault {spread([each.vault_rss / MIB for each in measures], 0)}"
            print(f"| {title} | {tool.name} | {spread([each.wall for each in measures])}{few} | {ratio} | {cpu} | "
                  f"{'' if per_gib is None else f'{per_gib:.2f}'} | {rss} | {bytes_text(results, *place)} |")
    for (row, tool), reason in results.reasons.items():
        if results.has(row, tool):
            print(f"\nNot every run of \"{results.titles[row]}\" with {tool} was measured: {one_line(reason)}")


def bytes_text(results, row, tool):
    return ", ".join(f"{what} {spread([each / MIB for each in values], 1)} MiB"
                     for (at, name, what), values in results.figures.items() if (at, name) == (row, tool) and what in BYTES)


@dataclasses.dataclass
class Verdict:
    what: str
    wanted: str
    value: float = None      # None: not measured, and `text` says why
    met: bool = None
    text: str = ""


class Targets:
    def __init__(self, results):
        self.results, self.verdicts = results, []

    def at_most(self, what, value, limit, unit, why):
        self._add(what, f"≤ {limit:g} {unit}", value, value is not None and value <= limit, unit, why)

    def _add(self, what, wanted, value, met, unit, why):
        if value is None:
            self.verdicts.append(Verdict(what, wanted, text=one_line(why)))
        else:
            self.verdicts.append(Verdict(what, wanted, value, met, f"{value:.2f} {unit}".strip()))

    def times_as_fast(self, what, row, factor, peer, peer_row=None):
        """`peer`: a name, or None for the better one."""
        value = lambda name: self.results.wall(peer_row or row, name)
        name, theirs = (peer, value(peer)) if peer else self.results.better_peer(value)
        ours = self.results.wall(row, "ember")
        ratio = theirs / ours if theirs and ours else None
        self._add(what, f"≥ {factor:g} × {peer or 'the better peer'}", ratio, ratio is not None and ratio >= factor,
                  f"× {name}" if ratio else "", self._why(row, ours, peer))

    def share_of(self, what, row, share, value, peer=None):
        """`value(tool)` of Ember, by that of `peer` or the better one."""
        name, theirs = (peer, value(peer)) if peer else self.results.better_peer(value)
        ours = value("ember")
        ratio = ours / theirs if theirs and ours is not None else None
        self._add(what, f"≤ {share:g} × {peer or 'the better peer'}", ratio, ratio is not None and ratio <= share,
                  f"× {name}" if ratio is not None else "", self._why(row, ours, peer))

    def _why(self, row, ours, peer):
        if ours is None:
            return f"ember: {self.results.why((row, 'ember'))}"
        return f"{peer or 'peers'}: {self.results.why(*((row, name) for name in ([peer] if peer else PEERS)))}"


def judge(results):
    targets, rows = Targets(results), results.titles
    if "first" in rows:
        targets.times_as_fast("first backup, speed", "first", 3, "restic")
        targets.times_as_fast("first backup, speed", "first", 2, "borg")
        targets.at_most("first backup, agent and vault", results.cpu_per_gib("first", "ember"), 3.3, "CPU-s/GiB",
                        results.why(("first", "ember")))
        targets.share_of("first backup, bytes stored", "first", 0.97, lambda tool: results.figure("first", tool, "stored"), "restic")
    if "unchanged" in rows:
        targets.share_of("unchanged backup, time", "unchanged", 0.2, lambda tool: results.wall("unchanged", tool))
    if "million" in rows:
        targets.share_of("unchanged backup of 1 M files, time", "million", 0.25, lambda tool: results.wall("million", tool))
    if "edited" in rows:
        targets.times_as_fast("edited backup, speed", "edited", 2, None)
        targets.share_of("edited backup, bytes added", "edited", 1, lambda tool: results.figure("edited", tool, "added"))
    if "restore" in rows:
        targets.times_as_fast("full restore, speed", "restore", 2, None)
    if "one" in rows:
        targets.at_most("one file, time", results.wall("one", "ember"), 1, "s", results.why(("one", "ember")))
        read = results.figure("one", "ember", "read")
        targets.at_most("one file, all that agent and vault read", None if read is None else read / MIB, 4, "MiB",
                        results.why(("one", "ember")))
    if "small-first" in rows:
        targets.times_as_fast("1 M files of 1 KiB, first backup, speed", "small-first", 3, None)
        targets.times_as_fast("1 M files of 1 KiB, restore, speed", "small-restore", 1.5, None)
    if "gc" in rows:
        targets.times_as_fast("GC against prune, speed", "gc", 3, "restic")
        gap = results.figure("stall", "ember", "gap")
        targets.at_most("writer's longest stall during GC", None if gap is None else gap * 1000, 100, "ms",
                        results.why(("stall", "ember")))
    judge_memory(results, targets)
    if "roofline" in rows:
        share = results.figure("roofline", "ember", "share")
        targets._add("pipeline with compression, of the roofline", "≥ 80 %", share, share is not None and share >= 80, "%",
                     results.why(("roofline", "ember")))
    return targets.verdicts


def judge_memory(results, targets):
    peaks = [(measure.rss, measure.vault_rss, results.titles[row]) for (row, tool), measures in results.measures.items()
             if tool == "ember" for measure in measures] + results.peaks
    for index, (what, limit) in enumerate((("agent", AGENT_RSS), ("vault", VAULT_RSS))):
        found = [(each[index], each[2]) for each in peaks if each[index] is not None]
        wanted, title = f"≤ {limit / MIB:.0f} MiB", f"RSS of the {what}, in all of the above"
        if not found:
            targets.verdicts.append(Verdict(title, wanted, text="ember: it was not run"))
            continue
        peak, where = max(found)
        targets.verdicts.append(Verdict(title, wanted, peak, peak <= limit, f"{peak / MIB:.0f} MiB ({where})"))


def print_targets(results):
    verdicts = judge(results)
    print("\n| target | wanted | measured | |\n|---|---|---|---|")
    for each in verdicts:
        if each.value is None:
            print(f"| {each.what} | {each.wanted} | not measured: {each.text} | - |")
        else:
            print(f"| {each.what} | {each.wanted} | {each.text} | {'met' if each.met else 'MISSED'} |")


def print_notes(results):
    if any(tool == "ember" for _, tool in results.measures):
        print("\nEmber's seconds come in steps of a quarter, in which `ember` asks whether the work has ended.")
    for note in results.notes:
        print(f"\n{note}")
    for row, text in results.profiles.items():
        print(f"\n{results.titles[row]}, agent and vault, last run:\n{text}")
