# SPDX-License-Identifier: BSD-3-Clause
"""The floors of the house: an #include may point to the same module or to a lower one."""

import os
import re
import subprocess

ORDER = ["base", "crypto", "aead", "wire", "replay", "noise", "cookie", "timers", "uapi", "lpm", "plan", "stats", "policy", "audit", "flow",
         "rcu", "mbox", "session", "ident", "route", "neigh", "port", "pkt", "authz", "pipeline", "hs"]
NO_DPDK = set(ORDER[:ORDER.index("flow") + 1])
UPPER = ["control/json", "control/prom", "control/task", "control/ca", "control/rpc", "control/policy", "control/model", "control/seal", "control/audit", "control/store", "control/collect", "control/ledger", "control/repl", "control/lcore", "control/server", "app"]

headers = {}
files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.c", "*.h"], capture_output=True, text=True,
                       check=True).stdout.split()


def floor(path):
    parts = path.split("/")
    if parts[0] == "lib":
        return ORDER.index(parts[1]) if parts[1] in ORDER else None
    for i, u in enumerate(UPPER):
        if path.startswith(u + "/"):
            return len(ORDER) + i
    return 10 ** 6  # tests and tools see everything


for f in files:
    if f.startswith(("lib/", "control/", "app/")) and f.endswith(".h"):
        headers[os.path.basename(f)] = f
for f in files:
    if not os.path.exists(f):
        continue
    mine = floor(f)
    if mine is None:
        print(f"{f}: lib module is not in the list of floors (tools/lib/floors.py, meson.build)")
        continue
    for n, line in enumerate(open(f, encoding="utf-8"), 1):
        m = re.match(r'#include ["<]([^">]+)[">]', line)
        if not m:
            continue
        inc = os.path.basename(m.group(1))
        if inc in headers and floor(headers[inc]) > mine:
            print(f"{f}:{n}: includes {headers[inc]} of a higher floor")
        if inc.startswith("rte_") and f.startswith("lib/") and f.split("/")[1] in NO_DPDK:
            print(f"{f}:{n}: {inc}: floors F0-F2 build without DPDK")
