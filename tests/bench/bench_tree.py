"""The mixed tree of the measurements: the same on every run on one machine (it is made of what Debian installed)."""
import os
import random
import shutil

SEED = 20221
SYSTEM = ("/usr/share/doc", "/usr/include", "/usr/lib")


def copy_system(top, size):
    """Copies of real files, small and large, in path order, until `size` bytes; links as links."""
    left = size
    for root in SYSTEM:
        share = left if root == SYSTEM[-1] else left // 2
        for parent, directories, names in os.walk(root):
            directories.sort()
            below = os.path.join(top, parent.lstrip("/"))
            os.makedirs(below, exist_ok=True)
            for name in sorted(names):
                source, target = os.path.join(parent, name), os.path.join(below, name)
                if os.path.islink(source):
                    os.symlink(os.readlink(source), target)
                    continue
                info = os.stat(source)
                if info.st_size > share:
                    continue
                shutil.copy2(source, target)
                share -= info.st_size
                left -= info.st_size
    return size - left


def write_random(top, size):
    """Incompressible data: photographs, archives."""
    numbers = random.Random(SEED)
    os.makedirs(top)
    index = 0
    while size > 0:
        length = min(size, numbers.randrange(200_000, 24_000_000))
        with open(os.path.join(top, f"photo-{index:03}.jpg"), "wb") as file:
            file.write(numbers.randbytes(length))
        size -= length
        index += 1


def write_image(path, size):
    """A disk image: twice as long as its data, which lies in islands, half of it compressible."""
    numbers = random.Random(SEED + 1)
    with open(path, "wb") as file:
        while size > 0:
            length = min(size, 4096 * numbers.randrange(1, 2048))
            text = b"".join(b"%08d an entry of a log, like its neighbours\n" % numbers.randrange(10**8)
                            for _ in range(length // 96))
            file.write(numbers.randbytes(length // 2) + text)
            file.seek(length, os.SEEK_CUR)
            size -= length
        file.truncate(file.tell())


def make_tree(directory, size):
    done = directory + ".done"
    if os.path.exists(done):
        return directory
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    image = size // 8
    copied = copy_system(os.path.join(directory, "system"), size * 5 // 8)
    write_image(os.path.join(directory, "disk.img"), image)
    write_random(os.path.join(directory, "photos"), size - image - copied)
    os.sync()
    open(done, "w").close()
    return directory


def describe(directory):
    files = links = size = stored = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            info = os.lstat(os.path.join(parent, name))
            if os.path.islink(os.path.join(parent, name)):
                links += 1
            else:
                files += 1
                size += info.st_size
                stored += info.st_blocks * 512
    return f"{files} files, {links} links, {size / 2**20:.0f} MiB, on disk {stored / 2**20:.0f} MiB"
