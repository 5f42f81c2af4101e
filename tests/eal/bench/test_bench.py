#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""sluice-bench runs, tells the truth about wrong usage, and writes results of the promised shape."""
import json
import os
import re
import subprocess
import sys
import tempfile

BENCH = sys.argv[1]
MEDIANS = {"rounds": int, "cycles_per_packet": float, "aead_cycles": float, "ratio": float}
RESULT = {"path": str, "inner_bytes": int, "peers": int, "policy": str, "logging": bool, **MEDIANS, "stages": dict}
STAGES = {"receive": ["rx", "classify", "open", "inner", "authz", "forward", "rewrite", "tx", "rest"],
          "send": ["rx", "classify", "inside", "authz", "encap", "seal", "rewrite", "tx", "rest"]}


def run(*args):
    return subprocess.run([BENCH, *args], capture_output=True, text=True, timeout=60)


def need(ok, what):
    if not ok:
        sys.exit(f"test_bench: {what}")


def check_result(r, extra):
    need(set(r) == set(RESULT) | {"full_speed"} | set(extra), f"members {sorted(r)}")
    for name, kind in RESULT.items():
        need(isinstance(r[name], kind), f"{name} is no {kind.__name__}: {r[name]!r}")
    need(list(r["stages"]) == STAGES[r["path"]], f"stages of {r['path']}: {list(r['stages'])}")
    need(all(isinstance(v, float) and v >= 0 for v in r["stages"].values()), f"stages: {r['stages']}")
    # 50 cycles would be no cipher at all; the path holds the cipher
    need(r["aead_cycles"] > 50, f"cipher of {r['aead_cycles']} cycles")
    # far below 1 on purpose: with a handful of rounds on a busy machine one of the two may have been interrupted
    need(r["ratio"] > 0.2 and r["cycles_per_packet"] > 50, f"a path cheaper than its cipher: {r}")
    full = r["full_speed"]  # which rounds have it is the machine's affair, but some part of all
    need(r["rounds"] > 0 and (full is None or 0 < full["rounds"] <= r["rounds"]), f"rounds: {r}")
    need(full is None or {k: type(v) for k, v in full.items()} == MEDIANS, f"members of full_speed: {full}")
    cipher = "open" if r["path"] == "receive" else "seal"
    need(r["stages"][cipher] > 50, f"stage {cipher}: {r['stages']}")


def check_file(args, cases, extra=()):
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "b.json")
        p = run("--no-huge", "--json", path, *args)
        need(p.returncode == 0, f"{args}: status {p.returncode}: {p.stderr}")
        with open(path) as f:
            results = json.load(f)["results"]
    for r in results:
        check_result(r, extra)
    need([(r["path"], r["inner_bytes"], r["peers"]) for r in results] == cases, f"cases: {results}")
    for path, size, peers in cases:
        need(any(l.split()[:3] == [path, str(size), str(peers)] for l in p.stdout.splitlines()),
             f"no line for {path} {size} {peers} in the table:\n{p.stdout}")
    judged = re.findall(r"(?:reached|missed), (full speed|all rounds)$", p.stdout, re.M)
    rounds = [r["full_speed"]["rounds"] if r["full_speed"] else 0 for r in results]
    need(max(rounds) >= 50 or "full speed" not in judged, f"judged by what was not met {rounds}:\n{p.stdout}")
    need(min(rounds) < 50 or "all rounds" not in judged, f"not judged by what was met {rounds}:\n{p.stdout}")


def main():
    every = [(p, s, n) for p in ("receive", "send") for s in (64, 512, 1420) for n in (1, 1000)]
    check_file(["--seconds", "1"], every)
    check_file(["--seconds", "0.1", "--path", "send", "--size", "29,1419", "--peers", "40,40"],
               [("send", s, 40) for s in (29, 29, 1419, 1419)])
    for outer in ("ipv6", "ipv6-offload"):
        check_file(["--seconds", "0.1", "--size", "100", "--peers", "3", "--outer", outer],
                   [("receive", 100, 3), ("send", 100, 3)], ["outer"])
    check_file(["--seconds", "0.5", "--size", "100", "--peers", "3", "--policy", "off,hit,miss", "--logging", "on,off", "--wait-full", "0.5"],
               [(p, 100, 3) for p in ("receive", "send") for _ in range(6)])
    for bad in (["--size", "27"], ["--size", "1421"], ["--size", "64,"], ["--peers", "0"], ["--path", "up"],
                ["--seconds", "0"], ["--seconds", "x"], ["--wait-full", "-1"], ["--wait-full", "601"], ["--outer", "arp"], ["--policy", "on"], ["--policy", "hit,"], ["--logging", ""], ["--nonsense"], ["word"]):
        p = run(*bad)
        need(p.returncode == 2 and p.stderr and not p.stdout, f"{bad}: status {p.returncode}")
    p = run("--cpu", "1023")
    need(p.returncode == 1 and "--cpu" in p.stderr and not p.stdout, f"CPU 1023: {p.returncode} {p.stderr}")
    p = run("--help")
    need(p.returncode == 0 and "--json FILE" in p.stdout, "--help")
    p = run("--no-huge", "--seconds", "0.1", "--size", "64", "--peers", "1", "--json", "/nonexistent/x")
    need(p.returncode == 1 and "/nonexistent/x" in p.stderr, f"unwritable file: {p.returncode} {p.stderr}")


main()
