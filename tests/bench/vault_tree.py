"""The trees of tests/bench/vault: made from a seed alone, the same bytes on every machine."""
import array
import contextlib
import dataclasses
import os
import random
import shutil
import subprocess

SEED = 70712
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
BLOCK = 4 * KIB
TEXT, HALF, RANDOM = "text", "half", "random"


@dataclasses.dataclass
class Tree:
    path: str
    files: int = 0
    size: int = 0    # bytes, holes included
    text: int = 0    # of them
    random: int = 0  # of them, incompressible

    def describe(self):
        rest = self.size - self.text - self.random
        return (f"{self.files} files, {self.size / MIB:.0f} MiB ({self.text / MIB:.0f} text, {self.random / MIB:.0f} incompressible, "
                f"{rest / MIB:.0f} holes and repetitions)")


class Writer:
    """Makes content: words of unlike frequency with some punctuation, about as compressible as source code, or noise."""

    def __init__(self, seed, tree=None):
        self.numbers, self.tree = random.Random(seed), tree
        words = random.Random(SEED)
        vocabulary = [bytes(words.choices(b"etaoinshrdlucmfwypvbgk", k=words.randrange(2, 11))) for _ in range(6000)]
        vocabulary += [b" ".join(words.choices(vocabulary[:300], k=words.randrange(5, 13))) for _ in range(3000)]
        words.shuffle(vocabulary)
        ends = [b" ", b" ", b" ", b"_", b".", b"(", b", ", b" = ", b");\n    ", b"\n", b" {\n        ", b"->"]
        weights = [1 / (rank + 3) for rank in range(len(vocabulary))]
        self._tokens = [word + words.choice(ends) for word in words.choices(vocabulary, weights, k=1 << 16)]
        self._token_bytes = sum(map(len, self._tokens)) / len(self._tokens)

    def content(self, size, kind):
        if kind == HALF:
            return self.content(size // 2, TEXT) + self.content(size - size // 2, RANDOM)
        if kind == RANDOM:
            if self.tree:
                self.tree.random += size
            return self.numbers.randbytes(size)
        if self.tree:
            self.tree.text += size
        pieces = b""
        while len(pieces) < size:
            choice = array.array("H", self.numbers.randbytes(2 * (int((size - len(pieces)) / self._token_bytes) + 4)))
            pieces += b"".join(map(self._tokens.__getitem__, choice))
        return pieces[:size]

    def file(self, path, size, kind):
        with open(path, "wb") as file:
            for at in range(0, size, 4 * MIB):
                file.write(self.content(min(size - at, 4 * MIB), kind))
        if self.tree:
            self.tree.files += 1
            self.tree.size += size


def small_file(index):
    """Thirty to a directory, fifty directories to one above."""
    return f"{index // 1500:04}/{index // 30 % 50:02}/file-{index:07}"


def kind_of(index):
    return RANDOM if index % 10 == 0 else HALF if index % 10 == 1 else TEXT


def write_small_files(writer, top, sizes, kinds=kind_of):
    for index, size in enumerate(sizes):
        path = os.path.join(top, small_file(index))
        if index % 30 == 0:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        writer.file(path, size, kinds(index))


def sizes_like_sources(numbers, count, mean):
    """Log-normal, as the sizes of source files and documents are, with some empty ones."""
    raw = [min(numbers.lognormvariate(0, 1.4), 60) if index % 200 else 0 for index in range(count)]
    factor = mean * count / sum(raw)
    return [int(each * factor) for each in raw]


def write_media(writer, top, size):
    os.makedirs(top)
    index = 0
    while size > 0:
        length = min(size, writer.numbers.randrange(200_000, 24_000_000))
        writer.file(os.path.join(top, f"film-{index:04}.mkv"), length, RANDOM)
        size -= length
        index += 1


def write_image(writer, path, size):
    """A guest's disk: half text, a fifth noise, a tenth what is there already, a fifth never written."""
    numbers, at = writer.numbers, 0
    with open(path, "w+b") as file:
        while at < size:
            length = min(size - at, BLOCK * numbers.randrange(1, 512))
            what = numbers.random()
            if what < 0.5:
                file.write(writer.content(length, TEXT))
            elif what < 0.7:
                file.write(writer.content(length, RANDOM))
            elif what < 0.8 and at > length:
                file.flush()
                file.write(os.pread(file.fileno(), length, numbers.randrange((at - length) // BLOCK + 1) * BLOCK))
            at += length
            file.seek(at)
        file.truncate(size)
    writer.tree.files += 1
    writer.tree.size += size


def make_mixed(path, scale):
    """4 GiB at scale 1: 150,000 small files of 2 GiB, 1 GiB of media, an image of 1 GiB; some links."""
    tree = Tree(path)
    writer = Writer(SEED + 1, tree)
    files = os.path.join(path, "files")
    os.makedirs(files)
    count = max(300, round(150_000 * scale))
    write_small_files(writer, files, sizes_like_sources(writer.numbers, count, 2 * GIB / 150_000))
    for index in range(0, count, 100):
        target = os.path.join(files, small_file(index))
        os.symlink(os.path.basename(target), target + ".soft")
        if index % 1000 == 0:
            os.link(target, target + ".hard")
    write_media(writer, os.path.join(path, "media"), round(GIB * scale))
    write_image(writer, os.path.join(path, "guest.img"), round(GIB * scale) // BLOCK * BLOCK)
    os.sync()
    return tree


def make_small(path, scale):
    """A million files of 1 KiB at scale 1."""
    tree = Tree(path)
    write_small_files(Writer(SEED + 2, tree), path, [KIB] * max(1000, round(1_000_000 * scale)), lambda index: TEXT)
    os.sync()
    return tree


def make_noise(path, size, seed):
    """What a writer can send without ever waiting for something to compress away."""
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    writer = Writer(SEED + seed)
    for index in range(0, size, 64 * MIB):
        writer.file(os.path.join(path, f"noise-{index // MIB:05}"), min(64 * MIB, size - index), RANDOM)
    os.sync()


class Kept:
    """Files as they were before an edit; put back at the end of `with`."""

    def __init__(self, directory):
        self._directory, self._places = directory, []
        os.makedirs(directory)

    def keep(self, path):
        kept = os.path.join(self._directory, str(len(self._places)))
        subprocess.run(["cp", "--archive", "--sparse=always", path, kept], check=True)
        self._places.append((kept, path))

    def put_back(self):
        for kept, path in self._places:
            os.replace(kept, path)
        os.rmdir(self._directory)


@contextlib.contextmanager
def edited(tree, scale, number, aside):
    """1 % of the small files edited (rewritten, grown, or a piece in the middle) and 100 MiB inside the image changed, in
    pieces of up to 2 MiB, until the end of `with`. Other edits for another `number`; `aside` is a directory not yet there."""
    writer = Writer(SEED + 100 + number)
    numbers, kept = writer.numbers, Kept(aside)
    count = max(300, round(150_000 * scale))
    image = os.path.join(tree.path, "guest.img")
    try:
        for index in numbers.sample(range(count), max(1, count // 100)):
            path = os.path.join(tree.path, "files", small_file(index))
            kept.keep(path)
            edit_file(writer, path, kind_of(index))
        kept.keep(image)
        with open(image, "r+b") as file:
            left, size = round(100 * MIB * scale), os.path.getsize(image)
            while left > 0:
                length = min(left, BLOCK * numbers.randrange(1, 512), size)
                file.seek(numbers.randrange((size - length) // BLOCK + 1) * BLOCK)
                file.write(writer.content(length, numbers.choice((TEXT, RANDOM))))
                left -= length
        os.sync()
        yield
    finally:
        kept.put_back()
        os.sync()


def edit_file(writer, path, kind):
    size, way = os.path.getsize(path), writer.numbers.randrange(3)
    if way == 0 or size < 200:
        writer.file(path, max(size, 100), kind)
        return
    with open(path, "r+b") as file:
        file.seek(0 if way == 1 else size // 2, os.SEEK_END if way == 1 else os.SEEK_SET)
        file.write(writer.content(100, kind))


class History:
    """A tree that changes a little with every step: `small` files like sources, of which one in a hundred is edited,
    `large` ones of `large_bytes`, of which `rewritten` are written anew, and WANTED, a new mebibyte each time."""
    WANTED = "wanted.bin"

    def __init__(self, path, seed, small, large=0, large_bytes=0, rewritten=0):
        self.tree = Tree(path)
        self._writer = Writer(SEED + seed, self.tree)
        self._small, self._large, self._large_bytes, self._rewritten = small, large, large_bytes, rewritten
        os.makedirs(path)
        write_small_files(self._writer, path, sizes_like_sources(self._writer.numbers, small, 14 * KIB))
        for index in range(large):
            self._writer.file(self._large_file(index), large_bytes, HALF)
        self._writer.file(self.wanted, MIB, RANDOM)
        self._writer.tree = None  # what is written from now on replaces something
        os.sync()

    @property
    def wanted(self):
        return os.path.join(self.tree.path, self.WANTED)

    def _large_file(self, index):
        return os.path.join(self.tree.path, f"large-{index:04}")

    def step(self):
        numbers = self._writer.numbers
        for index in numbers.sample(range(self._small), max(1, self._small // 100)):
            edit_file(self._writer, os.path.join(self.tree.path, small_file(index)), kind_of(index))
        for index in numbers.sample(range(self._large), self._rewritten):
            self._writer.file(self._large_file(index), self._large_bytes, HALF)
        self._writer.file(self.wanted, MIB, RANDOM)
