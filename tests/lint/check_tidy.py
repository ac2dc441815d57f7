#!/usr/bin/env python3
"""Style that a machine can see: file and line length, leftovers, every file in a CMake list, links that lead somewhere."""
import os
import re
import subprocess
import sys

ROOT = sys.argv[1]
FILE_LINES_MAX = 600
LINE_LENGTH_MAX = 140
LEFTOVER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
SLEEP = re.compile(r"sleep_for|SleepFor|usleep\(")
LINK = re.compile(r"\]\(([^)#]+)(#[^)]*)?\)")


def tracked():
    try:
        out = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=True).stdout
        return [p for p in out.split("\n") if p]
    except (OSError, subprocess.CalledProcessError):
        found = []
        for folder, dirs, names in os.walk(ROOT):
            dirs[:] = [d for d in dirs if not d.startswith(("build", ".git"))]
            found += [os.path.relpath(os.path.join(folder, n), ROOT) for n in names]
        return found


def dead_links(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        for target, _ in LINK.findall(file.read()):
            if "://" not in target and not os.path.exists(os.path.join(ROOT, os.path.dirname(path), target)):
                yield f"{path}: a link to {target}, which does not exist"


def main():
    problems, count = [], 0
    lists = ""
    files = [p for p in tracked() if os.path.exists(os.path.join(ROOT, p))]
    for path in files:
        if path.endswith("CMakeLists.txt"):
            lists += open(os.path.join(ROOT, path), encoding="utf-8").read()
    for path in files:
        if path.endswith(".md"):
            problems += dead_links(path)
        if not path.endswith((".h", ".cc", ".proto")):
            continue
        count += 1
        lines = open(os.path.join(ROOT, path), encoding="utf-8").read().split("\n")
        if len(lines) > FILE_LINES_MAX:
            problems.append(f"{path}: {len(lines)} lines (at most {FILE_LINES_MAX}: is it one idea?)")
        for number, line in enumerate(lines, 1):
            if len(line) > LINE_LENGTH_MAX and "http" not in line:
                problems.append(f"{path}:{number}: {len(line)} columns")
            if LEFTOVER.search(line):
                problems.append(f"{path}:{number}: leftover: {line.strip()}")
            if path.startswith("tests/") and SLEEP.search(line):
                problems.append(f"{path}:{number}: a test that sleeps: {line.strip()}")
        # A list may name a test by its stem: foreach(name …) ember_test(${name}_test ${name}_test.cc).
        base = os.path.basename(path)
        stem = base.removesuffix("_test.cc").removesuffix(".cc")
        if path.endswith((".cc", ".proto")) and base not in lists and not re.search(rf"\b{stem}\b", lists):
            problems.append(f"{path}: in no CMakeLists.txt: dead code")
    print("\n".join(problems))
    print(f"{count} files, {len(problems)} problems")
    return 1 if problems or count == 0 else 0


sys.exit(main())
