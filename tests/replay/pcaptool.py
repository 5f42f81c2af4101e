# SPDX-License-Identifier: BSD-3-Clause
"""Runs sluice-replay on captures made here and reads what it wrote. MODE (w1, w2, io2) chooses the lcores."""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import atexit

from check import check, equal
from lockstep import base_config, conf_text, interface

BINARY = os.environ.get("REPLAY") or (sys.argv[1] if len(sys.argv) > 1 else "")
LCORES = {"w1": [], "w2": ["--workers", "2"], "io2": ["--workers", "2", "--io", "1"]}[os.environ.get("MODE", "w1")]
DIR = tempfile.mkdtemp(prefix="sluice-pcap-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
atexit.register(shutil.rmtree, DIR, ignore_errors=True)
RAW, ETHERNET, NULL, SLL, SLL2, IPV4, IPV6 = 101, 1, 0, 113, 276, 228, 229
T0 = 1_700_000_000
KEY = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="


def path(name):
    return os.path.join(DIR, name)


def peer(n, name=None, **more):
    """Peer number n with its own addresses and a public key that nobody has."""
    import base64
    p = {"name": name or "peer%d" % n, "public_key": base64.b64encode(struct.pack(">I", n) + bytes(range(28))).decode(),
         "allowed_ips": ["10.7.%d.%d/32" % (n // 250, 1 + n % 250), "fd00:7::%x/128" % (n + 1)]}
    p.update(more)
    return p


def config(peers, **more):
    """A configuration as of a real gateway: nothing that it names exists here."""
    c = base_config(interfaces=[interface(peers=peers, private_key_file="/nonexistent/wg0.key")], **more)
    c["instance"] = "nowhere"
    c["system"] = {"workers": 12, "cpus": list(range(2, 15)), "hugepages": "require", "user": "nobody",
                   "state_dir": "/nonexistent/state", "run_dir": "/nonexistent/run"}
    c["control"] = {"socket": "/nonexistent/mgmt.sock"}
    c["ports"][0]["device"], c["ports"][1]["device"] = "0000:3b:02.0", "0000:3b:02.1"
    return c


def write_config(c, name="sluice.conf"):
    with open(path(name), "w", encoding="utf-8") as f:
        f.write("".join("%s = %s;\n" % (k, conf_text(v)) for k, v in c.items()))
    return path(name)


def write_pcap(packets, link=RAW, name="in.pcap", nano=True):
    """packets: bytes, or (seconds after T0, bytes), or (seconds, bytes, bytes of them captured)."""
    with open(path(name), "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, 262144, link))
        for n, p in enumerate(packets):
            at, data, *cut = p if isinstance(p, tuple) else (n * 0.001, p)
            ns = T0 * 10**9 + round(at * 10**9)
            have = data[:cut[0]] if cut else data
            f.write(struct.pack("<IIII", ns // 10**9, ns % 10**9 // (1 if nano else 1000), len(have), len(data)) + have)
    return path(name)


def read_pcap(name):
    """[(nanoseconds, bytes)] of a raw capture."""
    with open(path(name), "rb") as f:
        magic, _, _, _, _, _, link = struct.unpack("<IHHiIII", f.read(24))
        equal((magic, link), (0xA1B23C4D, RAW), "nanoseconds and raw IP")
        out = []
        while h := f.read(16):
            s, ns, have, full = struct.unpack("<IIII", h)
            equal(have, full, "whole packets")
            out.append((s * 10**9 + ns, f.read(have)))
    return out


class Result:
    def __init__(self, code, text, errors, report, out):
        self.code, self.text, self.errors, self.report, self.out = code, text, errors, report, out
        self.packets = report["packets"] if report else []
        self.summary = report["summary"] if report else {}

    def column(self, *names):
        rows = [tuple(p.get(n) for n in names) for p in self.packets]
        return [r[0] for r in rows] if len(names) == 1 else rows


def run_replay(conf, pcap, *more, ok=True, out="out.pcap", report="report.json"):
    for name in (out, report):
        if os.path.exists(path(name)):
            os.unlink(path(name))
    p = subprocess.run([BINARY, "--config", conf, "--pcap", pcap, "--out", path(out), "--json", path(report), *LCORES, *more],
                       capture_output=True, text=True, timeout=100, check=False)
    if not ok:
        return Result(p.returncode, p.stdout, p.stderr, None, None)
    equal((p.returncode, p.stderr), (0, ""), "exit code and errors")
    with open(path(report), encoding="utf-8") as f:
        r = json.load(f)
    result = Result(0, p.stdout, "", r, read_pcap(out))
    check_sums(result)
    return result


def check_sums(r):
    """The summary is the sum of the packets, however they were counted."""
    s = {"packets": len(r.packets), "forwarded": 0, "local": 0, "dropped": {}, "skipped": {}, "would_deny": 0}
    for n, p in enumerate(r.packets, 1):
        equal(p["n"], n, "number of a packet")
        if p["verdict"] in ("forwarded", "local"):
            s[p["verdict"]] += 1
            s["would_deny"] += p["verdict"] == "forwarded" and p.get("policy") == "deny"
        else:
            kind = s[p["verdict"]]
            kind[p["reason"]] = kind.get(p["reason"], 0) + 1
    got = {k: r.summary[k] for k in s}
    equal(got, s, "summary")
    equal(r.summary["written"], len(r.out), "packets in the output")


def need():
    check(BINARY and os.path.exists(BINARY), "name the sluice-replay program (argument or REPLAY)")
