"""The rows of tests/bench/vault: what is done, in which order, and what is compared afterwards."""
import contextlib
import filecmp
import os
import shutil
import statistics
import subprocess
import sys
import time

import vault_tree
from bench_ember import peak_rss, reset_peak_rss, wait_for
from bench_measure import Failed, size_on_disk
from vault_report import one_line, spread
from vault_tree import GIB, MIB
from vault_watch import Flow, Threads

# ext4 makes no new file in an inode that was removed within the last minute, and looks at those one by one.
INODE_PAUSE_SECONDS = 65
# What a writer must have to send so that it is still sending when a collection ends.
NOISE_MIN, NOISE = 256 * MIB, 2 * GIB


class Wrong(Exception):
    """What came back is not what was backed up: no figure counts."""


FAILURES = (Failed, Wrong, OSError, subprocess.CalledProcessError)


class Graveyard:
    """Takes what is done with, and removes it only when the room is needed: a removal slows down whoever makes files next."""

    def __init__(self, directory):
        self._directory, self._count = directory, 0
        os.makedirs(directory)

    def bury(self, path):
        if os.path.exists(path):
            self._count += 1
            os.rename(path, os.path.join(self._directory, str(self._count)))

    def make_room(self, size, files):
        space = os.statvfs(self._directory)
        if not self._count or (space.f_bavail * space.f_frsize >= size and space.f_favail >= files):
            return
        begin = time.monotonic()
        subprocess.run(["find", self._directory, "-mindepth", "1", "-delete"], check=True)
        os.sync()
        if time.monotonic() - begin > 2:
            time.sleep(INODE_PAUSE_SECONDS)


class Bench:
    def __init__(self, options, tools, results, directory):
        self.options, self.tools, self.results, self.directory = options, tools, results, directory
        self.scale, self.rows = options.scale, options.rows
        self.graveyard = Graveyard(os.path.join(directory, "done"))

    def path(self, name):
        return os.path.join(self.directory, name)

    def in_turn(self, number):
        """Another tool begins in each round."""
        shift = number % len(self.tools)
        return self.tools[shift:] + self.tools[:shift]

    def say(self, text):
        print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def turns(self, rows, number, name, tree, **others):
        """Every tool with a repository of its own, open until the end of `with`; buried then. A tool that cannot make one is
        left out of `rows`."""
        places = []
        try:
            with contextlib.ExitStack() as stack:
                turns = []
                for tool in self.in_turn(number):
                    place = self.path(f"{name}-{number}-{tool.name}")
                    os.makedirs(place)
                    places.append(place)
                    more = others if tool.name == "ember" else {}
                    try:
                        turns.append(Turn(self, tool, stack.enter_context(tool.open(place, tree, **more)), place))
                    except FAILURES as error:
                        for row in rows:
                            self.results.reasons[row, tool.name] = one_line(error)
                yield turns
        finally:
            for place in places:
                self.graveyard.bury(place)


class Turn:
    """One tool with one repository."""

    def __init__(self, bench, tool, session, place):
        self.bench, self.tool, self.session, self.place = bench, tool, session, place
        self.name = tool.name
        self.broken = None

    def step(self, row, action, check=None, keep=True):
        """Measures `action()`, and counts it under `row` when it went well and `check()` raises nothing."""
        results = self.bench.results
        if self.broken:
            if keep:
                results.reasons.setdefault((row, self.name), f"a step before failed: {self.broken}")
            return None
        os.sync()
        profile = Threads(self.session.estate.agents) if self.name == "ember" and self.bench.options.profile and keep else None
        try:
            with profile or contextlib.nullcontext():
                measure = action()
            if check:
                check()
        except FAILURES as error:
            self.broken = one_line(error)
            results.reasons[row, self.name] = self.broken
            self.bench.say(f"{row} {self.name}: {self.broken}")
            return None
        if keep:
            results.measures[row, self.name].append(measure)
            self.bench.say(f"{row} {self.name}: {measure.wall:.2f} s")
            if profile:
                results.profiles[row] = profile.text()
        return measure

    def figure(self, row, what, value):
        self.bench.results.figures[row, self.name, what].append(value)


def read_all(top):
    """Into the page cache."""
    buffer = bytearray(MIB)
    for parent, _, names in os.walk(top):
        for name in names:
            path = os.path.join(parent, name)
            if not os.path.islink(path) and os.path.isfile(path):
                with contextlib.suppress(FileNotFoundError), open(path, "rb", buffering=0) as file:
                    while file.readinto(buffer):
                        pass


def check_same(bench, turn, tree, restored):
    """With ember-tree-compare. The peers are forgiven holes: they fill them with zeroes."""
    result = subprocess.run([bench.options.compare, tree, restored], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = result.stdout.decode(errors="replace").splitlines()
    if turn.name != "ember":
        lines = [line for line in lines if ": data: " not in line]
    elif result.returncode != 0 and not lines:
        lines = [f"ember-tree-compare: exit code {result.returncode}"]
    if lines:
        raise Wrong(f"RESTORED WRONG, {len(lines)} differences: {'; '.join(lines[:3])}")


# --- first, unchanged, edited, restore ---------------------------------------------------------------------------------

MIXED = ("first", "unchanged", "edited", "restore")


def mixed(bench):
    results, rows = bench.results, bench.rows
    tree = vault_tree.make_mixed(bench.path("mixed"), bench.scale)
    print(f"mixed tree: {tree.describe()}")
    results.mixed = tree
    results.begin("first", "first backup of the mixed tree", tree.size)
    edits = f"backup of 1 % of the files edited, {100 * bench.scale:g} MiB inside the image"
    for row, title in (("unchanged", "unchanged backup"), ("edited", edits), ("restore", "full restore")):
        if row in rows:
            results.begin(row, title, tree.size)
    for number in range(bench.options.n):
        bench.graveyard.make_room(2 * len(bench.tools) * tree.size, 2 * len(bench.tools) * tree.files)
        with bench.turns(MIXED, number, "mixed", tree.path) as turns:
            for turn in turns:
                read_all(tree.path)
                if turn.step("first", turn.session.backup):
                    turn.figure("first", "stored", turn.session.repository_bytes())
                    if turn.name == "ember" and number == 0:
                        note_parts(results, turn.session.repository)
            if "unchanged" in rows:
                for turn in turns:
                    turn.step("unchanged", turn.session.backup)
            with vault_tree.edited(tree, bench.scale, number, bench.path("aside")) if "edited" in rows else contextlib.nullcontext():
                if "edited" in rows:
                    edited(turns)
                if "restore" in rows:
                    for turn in turns:
                        restore(turn, "restore", tree.path)
    bench.graveyard.bury(tree.path)


def note_parts(results, vault):
    parts = {name: size_on_disk(os.path.join(vault, name)) / MIB for name in sorted(os.listdir(vault))}
    results.notes.append("Ember's vault after a first backup, on disk: " +
                         ", ".join(f"{name} {size:.1f} MiB" for name, size in parts.items() if size >= 0.05))


def edited(turns):
    for turn in turns:
        before = turn.session.repository_bytes()
        if turn.step("edited", turn.session.backup):
            turn.figure("edited", "added", turn.session.repository_bytes() - before)


def restore(turn, row, tree):
    """Everything, from a warm repository."""
    target = os.path.join(turn.place, f"restored-{row}")
    read_all(turn.session.repository)
    turn.step(row, lambda: turn.session.restore(target),
              lambda: check_same(turn.bench, turn, tree, turn.session.restored_tree(target)))
    turn.bench.graveyard.bury(target)


# --- a million small files ---------------------------------------------------------------------------------------------

def small(bench):
    results = bench.results
    tree = vault_tree.make_small(bench.path("small"), bench.scale)
    print(f"small files: {tree.describe()}")
    count = f"{tree.files / 1e6:g} M files of 1 KiB"
    results.begin("small-first", f"{count}, first backup", tree.size)
    if "million" in bench.rows:
        results.begin("million", f"{count}, unchanged backup", tree.size)
    if "small" in bench.rows:
        results.begin("small-restore", f"{count}, restore", tree.size)
    for number in range(bench.options.n):
        bench.graveyard.make_room(7 * len(bench.tools) * tree.size, 2 * len(bench.tools) * tree.files)
        with bench.turns(("small-first", "million", "small-restore"), number, "small", tree.path) as turns:
            for turn in turns:
                read_all(tree.path)
                if turn.step("small-first", turn.session.backup):
                    turn.figure("small-first", "stored", turn.session.repository_bytes())
            if "million" in bench.rows:
                for turn in turns:
                    turn.step("million", turn.session.backup)
            if "small" in bench.rows:
                for turn in turns:
                    restore(turn, "small-restore", tree.path)
    bench.graveyard.bury(tree.path)


# --- one file of the oldest backup -------------------------------------------------------------------------------------

def one(bench):
    backups = max(5, round(100 * bench.scale))
    history = vault_tree.History(bench.path("history"), 200, small=max(200, round(20_000 * bench.scale)))
    print(f"history: {history.tree.describe()}, {backups} backups")
    bench.results.begin("one", f"one file of 1 MiB out of the oldest of {backups} backups")
    wanted = bench.path("wanted")
    shutil.copy2(history.wanted, wanted)
    with bench.turns(("one",), 0, "history", history.tree.path) as turns:
        for index in range(backups):
            if index:
                history.step()
            for turn in turns:
                turn.step("one", turn.session.backup, keep=False)
        for number in range(bench.options.n):
            for turn in sorted(turns, key=lambda turn: bench.in_turn(number).index(turn.tool)):
                target = os.path.join(turn.place, f"one-{number}")
                read_all(turn.session.repository)
                oldest = "" if turn.broken else turn.session.backups()[0]
                measure = turn.step("one", lambda: turn.session.restore(target, backup=oldest, path=history.wanted),
                                    lambda: check_one(target, wanted))
                if measure:
                    turn.figure("one", "read", measure.read)
    bench.graveyard.bury(history.tree.path)


def check_one(target, wanted):
    found = [os.path.join(parent, name) for parent, _, names in os.walk(target) for name in names]
    if len(found) != 1 or not filecmp.cmp(found[0], wanted, shallow=False):
        raise Wrong(f"RESTORED WRONG: {len(found)} files, one was asked for, or its content differs")


# --- deleting and collecting -------------------------------------------------------------------------------------------

def collect(bench):
    results = bench.results
    backups = max(6, round(60 * bench.scale) // 2 * 2)
    results.begin("delete", f"delete {backups // 2} of {backups} backups (ember: one by one)")
    results.begin("gc", "GC after it (restic: prune, borg: compact)")
    results.begin("stall", "GC beside a writer")
    for number in range(bench.options.n):
        large_bytes = max(256 << 10, round(4 * MIB * min(1, 8 * bench.scale)))
        history = vault_tree.History(bench.path("collected"), 300 + number, small=max(200, round(5_000 * bench.scale)), large=40,
                                     large_bytes=large_bytes, rewritten=5)
        if number == 0:
            print(f"collected: {history.tree.describe()}, {backups} backups; each second one is deleted")
        noise = bench.path("noise")
        vault_tree.make_noise(noise, max(NOISE_MIN, round(NOISE * bench.scale)), 1000 + number)
        survivor = bench.path("survivor")
        bench.graveyard.make_room((3 * len(bench.tools) * GIB + 4 * NOISE) * bench.scale, 100_000)
        with bench.turns(("delete", "gc", "stall"), number, "collected", history.tree.path, writer=noise) as turns:
            for index in range(backups):
                if index:
                    history.step()
                if index == 1:
                    subprocess.run(["cp", "--archive", history.tree.path, survivor], check=True)
                for turn in turns:
                    turn.step("delete", turn.session.backup, keep=False)
            for turn in turns:
                collect_one(turn, history.tree.path, survivor)
                if turn.name == "ember" and not turn.broken:
                    measure_stall(turn, history.tree.path, noise, 2000 + number)
        for path in (history.tree.path, survivor, noise):
            bench.graveyard.bury(path)
    note_stall(results)


def collect_one(turn, tree, survivor):
    session = turn.session
    turn.step("delete", lambda: session.delete(session.backups()[::2]))
    if turn.step("gc", session.collect, lambda: check_survivors(turn, tree, survivor)):
        turn.figure("gc", "left", session.repository_bytes())


def check_survivors(turn, tree, survivor):
    """The newest backup that is left, and the oldest."""
    left = turn.session.backups()
    for backup, expected in ((left[-1], tree), (left[0], survivor)):
        check_restores(turn, backup, expected)


def check_restores(turn, backup, expected):
    target = os.path.join(turn.place, "survived")
    turn.session.restore(target, backup=backup)
    check_same(turn.bench, turn, expected, turn.session.restored_tree(target))
    turn.bench.graveyard.bury(target)


def measure_stall(turn, tree, noise, seed):
    """Half of what is left is deleted; then a writer sends while the vault is collected. Both must restore."""
    bench, session, estate = turn.bench, turn.session, turn.session.estate
    try:
        with Flow(estate.vault_port) as alone:
            finish(estate.begin("backup", "run", "writer"))
        gap, looked = alone.longest_gap(0, float("inf"))
        if alone.error or gap is None:
            raise Failed(f"the writer's connection cannot be watched: {alone.error or 'no bytes were seen on it'}")
        vault_tree.make_noise(noise, sum(os.path.getsize(os.path.join(noise, name)) for name in os.listdir(noise)), seed)
        session.delete(session.backups()[:-1:2])
        os.sync()
        for agent in estate.agents:
            reset_peak_rss(agent)
        with Flow(estate.vault_port) as flow:
            writer = estate.begin("backup", "run", "writer")
            wait_for(lambda: flow.sent > 4 * MIB or flow.ended() or writer.poll() is not None, 60, "the writer sends")
            begin = time.monotonic()
            session.collect()
            end = time.monotonic()
            said = finish(writer)
            peaks = [peak_rss(agent) for agent in estate.agents]
        check_restores(turn, session.backups()[-1], tree)
        check_restores(turn, "writer@latest", noise)
        during, watched = flow.longest_gap(begin, end)
        if during is None or watched < 0.5 * (end - begin):
            raise Failed(f"of the collection of {end - begin:.2f} s, the writer was seen sending during {watched:.2f} s only "
                         f"({flow.sent / MIB:.0f} MiB in all); it said: {said} {flow.error}")
    except FAILURES as error:
        bench.results.reasons["stall", "ember"] = one_line(error)
        bench.say(f"stall ember: {one_line(error)}")
        return
    for what, value in (("gap", during), ("alone", gap), ("watched", watched), ("pause", flow.look_pause_max)):
        turn.figure("stall", what, value)
    bench.results.peaks.append((*peaks, "GC beside a writer"))
    bench.say(f"stall ember: {1000 * during:.0f} ms while collecting, {1000 * gap:.0f} ms alone")


def finish(process):
    """What it said."""
    said = process.communicate()[1]
    if process.returncode != 0:
        raise Failed(f"the writer: exit code {process.returncode}\n{said}")
    return said


def note_stall(results):
    figure = {what: results.figures.get(("stall", "ember", what)) for what in ("gap", "alone", "watched", "pause")}
    if not figure["gap"]:
        return
    milli = {what: spread([1000 * each for each in values], 0) for what, values in figure.items()}
    results.notes.append(
        f"The writer, a second workload of the same agent that sends incompressible bytes: the longest time in which the vault "
        f"acknowledged none of them was {milli['gap']} ms while the vault was collected ({statistics.median(figure['watched']):.2f} s of "
        f"it watched), and {milli['alone']} ms without a collection. Two looks were up to {milli['pause']} ms apart.")


# --- the roofline ------------------------------------------------------------------------------------------------------

def roofline(bench):
    """ember-bench-primitives' table; and what the first backup makes of it."""
    results = bench.results
    results.titles["roofline"] = "roofline"
    program = os.path.join(bench.options.bin, "ember-bench-primitives")
    try:
        out = subprocess.run([program, str(bench.options.n)], stdout=subprocess.PIPE, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        results.reasons["roofline", "ember"] = one_line(error)
        return
    speeds = {}
    for line in out.splitlines()[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        speeds[cells[0]] = float(cells[1])
    results.notes.append(f"One core, step by step (`ember-bench-primitives {bench.options.n}`):\n\n{out.strip()}")
    note_whole_backup(results, speeds)
    judge_pipeline(results, speeds)


def fastest(speeds, *words):
    return max((speed for name, speed in speeds.items() if all(word in name for word in words)), default=None)


def steps_of(speeds, kind):
    """Of one core: (cut, id, compress, seal) in GB/s for bytes of this kind, and what compression leaves of a byte."""
    zstd = next((name for name in speeds if name.startswith(f"zstd level 1, {kind}")), None)
    steps = [fastest(speeds, "chunker stream"), fastest(speeds, "HMAC"), speeds.get(zstd), fastest(speeds, "AES-256-GCM seal")]
    if None in steps:
        return None, None
    return steps, 1 / float(zstd.rsplit("(x", 1)[1].rstrip(")"))


def seconds_per_gb(speeds, kind):
    steps, left = steps_of(speeds, kind)
    if steps is None:
        return None
    cut, identify, compress, seal = steps
    return 1 / cut + 1 / identify + 1 / compress + left / seal


def judge_pipeline(results, speeds):
    """Against a `pipeline, text` row of the primitives, where there is one: the steps together, with no network behind them."""
    share = [100 * speeds[f"pipeline, {kind}"] * seconds_per_gb(speeds, kind) for kind in ("text", "random")
             if f"pipeline, {kind}" in speeds and seconds_per_gb(speeds, kind)]
    if share:
        results.figures["roofline", "ember", "share"].append(min(share))
    else:
        results.reasons["roofline", "ember"] = ("ember-bench-primitives has no row `pipeline, text` or `pipeline, random`; "
                                                "the whole backup is below the table")


def note_whole_backup(results, speeds):
    cpu, text, noise = results.cpu_per_gib("first", "ember"), seconds_per_gb(speeds, "text"), seconds_per_gb(speeds, "random")
    if cpu is None or text is None or noise is None:
        return
    tree = results.mixed
    steps = (tree.text * text + tree.random * noise) / 1e9 / (tree.size / GIB)
    results.notes.append(
        f"The whole first backup (with walking, gRPC, TLS, the vault's writing, its parity and the read-back) takes {cpu:.2f} CPU-s "
        f"per GiB, {GIB / 1e9 / cpu:.3f} GB/s per core. Cutting, ids, zstd 1 and sealing alone would take {steps:.2f} CPU-s per GiB of "
        f"this tree by the table above: {100 * steps / cpu:.0f} % of it.")


GROUPS = ((mixed, MIXED), (one, ("one",)), (small, ("small", "million")), (collect, ("gc",)),
          (roofline, ("roofline",)))
