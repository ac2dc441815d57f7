"""A process that says "I run" every 50 ms, with the name of its node, and what its words prove."""
import json
import time

from estate import check

SPEAKER = """
import json, os, sys, time
words = open(sys.argv[1], "a", buffering=1)
name = open(sys.argv[2]).read().strip()
while True:
    words.write(json.dumps([time.monotonic(), name, os.getpid()]) + "\\n")
    time.sleep(0.05)
"""


def words(path):
    with open(path) as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def check_never_two(path):
    """The processes' lives, from first to last word, do not overlap."""
    lives = {}
    for when, node, pid in words(path):
        first, _ = lives.get((node, pid), (when, when))
        lives[node, pid] = (first, when)
    in_order = sorted((first, last, node) for (node, _), (first, last) in lives.items())
    for (_, ended, node), (began, _, other) in zip(in_order, in_order[1:]):
        check(ended < began, f"{other} began {ended - began:.2f} s before {node} had ended")
    return in_order


def speaks(path, node, seconds=1):
    now = time.monotonic()
    return any(when > now - seconds and name == node for when, name, _ in words(path)[-50:])
