# SPDX-License-Identifier: BSD-3-Clause
"""Size caps: a file of at most 1,000 lines, a function of at most 120."""

import os
import re
import subprocess

FILE_CAP, FUNCTION_CAP = 1000, 120

files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.c", "*.h", "*.py"], capture_output=True,
                       text=True, check=True).stdout.split()
for f in files:
    if not os.path.exists(f):
        continue
    lines = open(f, encoding="utf-8").read().split("\n")
    if len(lines) > FILE_CAP + 1:
        print(f"{f}: {len(lines) - 1} lines, at most {FILE_CAP}")
    if not f.endswith(".c"):
        continue
    start = None
    for n, line in enumerate(lines, 1):
        if line == "{":
            start = n
        elif line == "}" and start:
            if n - start > FUNCTION_CAP:
                name = re.split(r"\(", lines[start - 2])[0]
                print(f"{f}:{start - 1}: {name}() has {n - start} lines, at most {FUNCTION_CAP}")
            start = None
