"""Debian's restic and borg, on a local repository, encrypted, otherwise as they come."""
import contextlib
import os
import shutil
import subprocess

from bench_measure import run_measured, size_on_disk


def output_of(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


class Restic:
    name = "restic"

    def available(self):
        return shutil.which("restic") is not None

    def version(self):
        return " ".join(output_of("restic", "version").split()[:2])

    @contextlib.contextmanager
    def open(self, directory, tree):
        yield ResticSession(directory, tree)


class ResticSession:
    def __init__(self, directory, tree):
        self._tree = tree
        self._repository = os.path.join(directory, "repository")
        self._environment = dict(os.environ, RESTIC_REPOSITORY=self._repository, RESTIC_PASSWORD="bench",
                                 RESTIC_CACHE_DIR=os.path.join(directory, "cache"))
        self._run("init")

    def _run(self, *arguments):
        return run_measured(["restic", "--quiet", *arguments], env=self._environment)

    def backup(self):
        return self._run("backup", self._tree)

    def restore(self, target):
        return self._run("restore", "latest", "--target", target)

    def restored_tree(self, target):
        return target + self._tree

    def repository_bytes(self):
        return size_on_disk(self._repository)


class Borg:
    name = "borg"

    def available(self):
        return shutil.which("borg") is not None

    def version(self):
        return output_of("borg", "--version")

    @contextlib.contextmanager
    def open(self, directory, tree):
        yield BorgSession(directory, tree)


class BorgSession:
    def __init__(self, directory, tree):
        self._tree = tree
        self._repository = os.path.join(directory, "repository")
        self._backups = 0
        self._environment = dict(os.environ, BORG_REPO=self._repository, BORG_PASSPHRASE="bench",
                                 BORG_BASE_DIR=os.path.join(directory, "base"))
        os.makedirs(os.path.join(directory, "base"))
        self._run("init", "--encryption", "repokey-blake2")

    def _run(self, *arguments, **options):
        return run_measured(["borg", *arguments], env=self._environment, **options)

    def backup(self):
        self._backups += 1
        return self._run("create", f"::{self._backups}", self._tree)

    def restore(self, target):
        os.makedirs(target)
        return self._run("extract", f"::{self._backups}", cwd=target)

    def restored_tree(self, target):
        return target + self._tree

    def repository_bytes(self):
        return size_on_disk(self._repository)
