# SPDX-License-Identifier: BSD-3-Clause
"""A datagram each millisecond, and when they arrive, on the clock that all processes of this machine share.

beat.py send ADDRESS PORT SECONDS	sends
beat.py hear ADDRESS PORT FILE		writes the time of each arrival (monotonic ns, a line each)
beat.py load SOCKET FILE		policy.load of FILE; prints the monotonic ns before, and the answer
beat.py first FILE NS			ms from NS to the first arrival after it
beat.py last FILE NS			ms from NS to the last arrival of all, at least 0
"""
import json
import os
import socket
import sys
import time

PART = 400_000  # a line of JSON-RPC holds 1 MiB, and quotes take two bytes in it


def send(address, port, seconds):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end = time.monotonic() + float(seconds)
    n = 0
    while time.monotonic() < end:
        try:
            s.sendto(b"%08d" % n, (address, int(port)))
        except OSError:
            pass  # the socket's buffer is full
        n += 1
        time.sleep(0.001)


def hear(address, port, path):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, int(port)))
    with open(path, "w", buffering=1, encoding="ascii") as f:
        while True:
            s.recv(64)
            f.write("%d\n" % time.monotonic_ns())


def call(f, n, params):
    f.write((json.dumps({"jsonrpc": "2.0", "id": n, "method": "policy.load", "params": params}) + "\n").encode())
    f.flush()
    answer = json.loads(f.readline())
    if "error" in answer:
        sys.exit(json.dumps(answer["error"]))
    return answer["result"]


def load(path, document):
    with open(document, encoding="utf-8") as f:
        text = f.read()
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    f = s.makefile("rwb")
    start = time.monotonic_ns()
    parts = [text[i:i + PART] for i in range(0, len(text), PART)]
    if len(parts) == 1:
        result = call(f, 1, {"text": text})
    else:
        result = {}
        for i, p in enumerate(parts):
            more = {"upload": result["upload"]} if i else {}
            result = call(f, i, {"text": p, "part": i, "last": i == len(parts) - 1, **more})
    print(start, json.dumps({k: result[k] for k in ("compile_ms", "publish_ms")}))


def arrivals(path):
    with open(path, encoding="ascii") as f:
        return [int(t) for t in f.read().split("\n")[:-1]]


def first(path, since):
    after = [t for t in arrivals(path) if t > int(since)]
    print(round((after[0] - int(since)) / 1e6, 1) if after else "none")


def last(path, since):
    t = arrivals(path)
    print(max(0, round((t[-1] - int(since)) / 1e6, 1)) if t else 0)


{"send": send, "hear": hear, "load": load, "first": first, "last": last}[sys.argv[1]](*sys.argv[2:])
os._exit(0)
