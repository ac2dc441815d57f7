"""Debian's restic and borg, on a local repository, encrypted, otherwise as they come."""
import contextlib
import json
import os
import shutil
import subprocess

from bench_measure import run_measured, size_on_disk


def output_of(*command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, **options).stdout.strip()


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
        self.repository = os.path.join(directory, "repository")
        self._environment = dict(os.environ, RESTIC_REPOSITORY=self.repository, RESTIC_PASSWORD="bench",
                                 RESTIC_CACHE_DIR=os.path.join(directory, "cache"))
        self._run("init")

    def _run(self, *arguments):
        return run_measured(["restic", "--quiet", *arguments], env=self._environment)

    def backup(self):
        return self._run("backup", self._tree)

    def backups(self):
        """Their names, oldest first."""
        listed = json.loads(output_of("restic", "--quiet", "snapshots", "--json", env=self._environment))
        return [each["id"] for each in sorted(listed, key=lambda each: each["time"])]

    def restore(self, target, backup="latest", path=None):
        """Of one path, or of everything."""
        return self._run("restore", backup, "--target", target, *(["--include", path] if path else []))

    def delete(self, backups):
        return self._run("forget", *backups)

    def collect(self):
        return self._run("prune")

    def restored_tree(self, target):
        return target + self._tree

    def repository_bytes(self):
        return size_on_disk(self.repository)


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
        self.repository = os.path.join(directory, "repository")
        self._backups = 0
        self._environment = dict(os.environ, BORG_REPO=self.repository, BORG_PASSPHRASE="bench",
                                 BORG_BASE_DIR=os.path.join(directory, "base"))
        os.makedirs(os.path.join(directory, "base"))
        self._run("init", "--encryption", "repokey-blake2")

    def _run(self, *arguments, **options):
        return run_measured(["borg", *arguments], env=self._environment, **options)

    def backup(self):
        self._backups += 1
        return self._run("create", f"::{self._backups}", self._tree)

    def backups(self):
        """Their names, oldest first."""
        return output_of("borg", "list", "--short", "--sort-by", "timestamp", env=self._environment).split()

    def restore(self, target, backup=None, path=None):
        """Of one path, or of everything."""
        os.makedirs(target)
        return self._run("extract", f"::{backup or self._backups}", *([path.lstrip("/")] if path else []), cwd=target)

    def delete(self, backups):
        return self._run("delete", "::" + backups[0], *backups[1:])

    def collect(self):
        return self._run("compact")

    def restored_tree(self, target):
        return target + self._tree

    def repository_bytes(self):
        return size_on_disk(self.repository)
