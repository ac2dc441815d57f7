#!/usr/bin/env python3
"""list_suites.py BINARY NAME OUTPUT EACH PROPERTIES...: ctests for a gtest binary, with these properties.

EACH=suite: one for each suite. One for each test would start a process a thousand times, a tenth of the time of all tests.
EACH=test: where tests are few and long, they run side by side.
"""
import re
import subprocess
import sys

binary, name, output, each, *properties = sys.argv[1:]
listed = subprocess.run([binary, "--gtest_list_tests"], check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout
# "Suite." or "Suite/0.  # TypeParam = ..." at the margin, its tests, perhaps with a comment, below it.
filters, suite = [], ""
for line in listed.splitlines():
    if head := re.fullmatch(r"(\S+)\.(?:\s+#.*)?", line):
        suite = head[1]
        if each == "suite":
            filters.append(f"{suite}.*")
    elif each == "test" and (test := re.match(r"  (\S+)", line)):
        filters.append(f"{suite}.{test[1]}")
with open(output, "w") as file:
    for one in filters:
        title = f"{name}.{one.removesuffix('.*')}"
        file.write(f'add_test([=[{title}]=] [=[{binary}]=] [=[--gtest_filter={one}]=] --gtest_brief=1)\n'
                   f'set_tests_properties([=[{title}]=] PROPERTIES {" ".join(properties)})\n')
