#!/usr/bin/env python3
"""Every RPC method of every proto file has a row in the table of roles, and every row a method."""
import os
import re
import sys

ROOT = sys.argv[1]


def methods():
    for folder, _, names in os.walk(os.path.join(ROOT, "proto")):
        for name in (each for each in names if each.endswith(".proto")):
            text = open(os.path.join(folder, name), encoding="utf-8").read()
            text = re.sub(r"//[^\n]*", "", text)
            package = re.search(r"^package\s+([\w.]+)\s*;", text, re.M).group(1)
            for service, body in re.findall(r"\bservice\s+(\w+)\s*\{(.*?)\n\}", text, re.S):
                for method in re.findall(r"\brpc\s+(\w+)\s*\(", body):
                    yield f"/{package}.{service}/{method}"


def main():
    table = open(os.path.join(ROOT, "common/rpc/roles.cc"), encoding="utf-8").read()
    rows, protos = set(re.findall(r'\{"(/[\w./]+)",', table)), set(methods())
    problems = [f"{each}: no row in common/rpc/roles.cc" for each in sorted(protos - rows)]
    problems += [f"{each}: in no proto file" for each in sorted(rows - protos)]
    print("\n".join(problems))
    print(f"{len(protos)} methods, {len(problems)} problems")
    return 1 if problems or not protos else 0


sys.exit(main())
