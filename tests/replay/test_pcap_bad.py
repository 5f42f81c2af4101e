#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""sluice-replay with bad input: clear errors, exit codes, no half reports, nothing of the host touched."""
import os
import struct
import subprocess

import packets as pk
from check import check, equal, run
from lockstep import SERVER4
from pcaptool import BINARY, RAW, config, need, path, peer, run_replay, write_config, write_pcap

CONF = write_config(config([peer(1, "alice"), peer(2, "bob")]))
PCAP = write_pcap([pk.udp("10.7.0.2", SERVER4, 1, 2, b"x")], name="good.pcap")


def fails(code, words, conf, pcap, *more, **kw):
    r = run_replay(conf, pcap, *more, ok=False, **kw)
    equal(r.code, code, "exit code (%s)" % r.errors)
    for w in words:
        check(w in r.errors, "%r says nothing of %r" % (r.errors, w))
    check(r.errors.count("\n") <= 4 and "DPDK" not in r.errors, "short: %r" % r.errors)
    for name in ("out.pcap", "report.json"):
        check(not os.path.exists(path(name)), name + " of a failed run")
    return r


def files():
    fails(1, ["/nonexistent.pcap", "No such file", "pcap_file"], CONF, "/nonexistent.pcap")
    fails(1, ["/nonexistent.conf", "No such file"], "/nonexistent.conf", PCAP)
    with open(path("text"), "w", encoding="utf-8") as f:
        f.write("This is no capture, but long enough to have a header." * 3)
    fails(1, [path("text"), "pcap_invalid"], CONF, path("text"))
    with open(path("nothing"), "wb"):
        pass
    fails(1, [path("nothing"), "pcap_invalid"], CONF, path("nothing"))
    fails(1, ["there is no packet in it", "pcap_empty"], CONF, write_pcap([], name="empty.pcap"))
    fails(1, ["link type", "pcap_link"], CONF, write_pcap([b"x" * 40], 105, name="wifi.pcap"))
    with open(PCAP, "rb") as f:
        whole = f.read()
    with open(path("cut.pcap"), "wb") as f:
        f.write(whole + whole[24:-5])
    fails(1, ["after packet 1", "pcap_invalid"], CONF, path("cut.pcap"))
    with open(path("huge.pcap"), "wb") as f:
        f.write(whole + struct.pack("<IIII", 1, 1, 0x7FFFFFFF, 0x7FFFFFFF))
    fails(1, ["after packet 1"], CONF, path("huge.pcap"))


def outputs():
    r = subprocess.run([BINARY, "--config", CONF, "--pcap", PCAP, "--out", "/nonexistent/out.pcap"], capture_output=True,
                       text=True, check=False)
    equal(r.returncode, 1, "exit code")
    check("/nonexistent/out.pcap" in r.stderr and "out_file" in r.stderr, r.stderr)
    r = subprocess.run([BINARY, "--config", CONF, "--pcap", PCAP, "--out", path("o2"), "--json", "/nonexistent/r.json"],
                       capture_output=True, text=True, check=False)
    equal(r.returncode, 1, "exit code")
    check("/nonexistent/r.json" in r.stderr and "json_file" in r.stderr, r.stderr)
    check(not os.path.exists(path("o2")), "the other output was made")
    for name in ("--out", "--json"):
        r = subprocess.run([BINARY, "--config", CONF, "--pcap", PCAP, name, PCAP], capture_output=True, text=True, check=False)
        equal(r.returncode, 1, "exit code")
        check("same_file" in r.stderr, r.stderr)
    check(os.path.getsize(PCAP) > 40, "the capture is whole")
    os.symlink(path("both"), path("link"))
    for other in ("both", "link"):
        r = subprocess.run([BINARY, "--config", CONF, "--pcap", PCAP, "--out", path("both"), "--json", path(other)],
                           capture_output=True, text=True, check=False)
        equal(r.returncode, 1, "exit code")
        check("same_file" in r.stderr, r.stderr)
    for name in ("--out", "--json"):
        r = subprocess.run([BINARY, "--config", CONF, "--pcap", PCAP, name, "/dev/full"], capture_output=True, text=True,
                           check=False)
        equal(r.returncode, 1, "exit code with a full disk")
        check("cannot be written" in r.stderr and os.path.exists("/dev/full"), r.stderr)


def names():
    fails(1, ["no peer \"mallory\"", "peer_unknown"], CONF, PCAP, "--peer", "mallory")
    fails(1, ["no interface \"wg7\"", "interface_unknown"], CONF, PCAP, "--interface", "wg7")
    c = config([peer(1, "alice")])
    c["interfaces"].append({**c["interfaces"][0], "name": "wg1", "listen_port": 1, "addresses": ["10.8.0.1/16"],
                            "peers": [peer(1, "alice", allowed_ips=["10.8.0.2/32"])]})
    two = write_config(c, "two.conf")
    fails(1, ["wg0", "wg1", "peer_ambiguous"], two, PCAP, "--peer", "alice")
    equal(run_replay(two, PCAP, "--peer", "alice", "--interface", "wg0").column("verdict"), ["forwarded"], "with a choice")


def configurations():
    c = config([peer(1, "alice")])
    c["interfaces"][0]["mtu"] = 100
    fails(1, ["bad.conf:", "mtu"], write_config(c, "bad.conf"), PCAP)
    with open(path("broken.conf"), "w", encoding="utf-8") as f:
        f.write("ports = (\n")
    fails(1, ["broken.conf:", "syntax"], path("broken.conf"), PCAP)
    c = config([peer(1, "alice")])
    for p in c["ports"]:
        del p["addresses"]
    c["routes"] = []
    fails(1, ["no port", "address"], write_config(c, "noaddr.conf"), PCAP)
    c = config([])
    del c["interfaces"][0]["peers"]
    equal(run_replay(write_config(c, "nopeers.conf"), PCAP).column("verdict", "reason"), [("skipped", "no_peer")], "no peers")
    c = config([peer(1, "alice")])
    del c["interfaces"][0]["inside"]
    r = run_replay(write_config(c, "noinside.conf"), write_pcap([pk.udp(SERVER4, "10.7.0.2", 2, 1, b"x")]))
    equal(r.column("verdict", "reason"), [("skipped", "no_inside")], "no inside")


def usage():
    for args, words in (([], "--config FILE is missing"), (["--config", CONF], "--pcap FILE is missing"),
                        (["--config", CONF, "--pcap", PCAP, "more"], "unexpected argument \"more\""),
                        (["--config", CONF, "--pcap", PCAP, "--workers", "0"], "--workers 0"),
                        (["--config", CONF, "--pcap", PCAP, "--workers", "-1"], "use a number"),
                        (["--config", CONF, "--pcap", PCAP, "--workers", "99"], "use a number"),
                        (["--config", CONF, "--pcap", PCAP, "--seed", "x"], "use a number"),
                        (["--config", CONF, "--pcap", PCAP, "--at", "yesterday"], "2027-01-31T08:00:00Z"),
                        (["--config", CONF, "--pcap", PCAP, "--enforce", "--observe"], "exclude each other"),
                        (["--wrong"], "--help")):
        r = subprocess.run([BINARY, *args], capture_output=True, text=True, check=False)
        equal(r.returncode, 2, "exit code of %r" % args)
        check(words in r.stderr, "%r: %r" % (args, r.stderr))
    r = subprocess.run([BINARY, "--help"], capture_output=True, text=True, check=False)
    equal((r.returncode, r.stderr), (0, ""), "--help")
    check("--pcap" in r.stdout and "Exit status" in r.stdout, "the text")


def small_outputs():
    """Each output may be left out; - is standard output."""
    r = subprocess.run([BINARY, "--config", CONF, "--pcap", PCAP], capture_output=True, text=True, check=False)
    equal((r.returncode, r.stderr), (0, ""), "without files")
    check(r.stdout.startswith("1 packets in 1 flows: 1 forwarded (1 would be denied), 0 dropped"), r.stdout)
    r = subprocess.run([BINARY, "--config", CONF, "--pcap", PCAP, "--json", "-"], capture_output=True, text=True, check=False)
    check(r.stdout.startswith("{\"packets\":[") and r.stdout.rstrip().endswith("}"), "JSON alone: " + r.stdout)
    with open(PCAP, "rb") as f:
        r = subprocess.run([BINARY, "--config", CONF, "--pcap", "-"], stdin=f, capture_output=True, text=True, check=False)
    equal((r.returncode, r.stdout[:9]), (0, "1 packets"), "a capture from a pipe")


def broken_packets():
    """Whatever stands in a capture, the program goes on, and says what the gateway says."""
    import random
    rng = random.Random(7)
    base = [pk.udp("10.7.0.2", SERVER4, 1, 2, b"x" * 30), pk.tcp_syn("10.7.0.2", SERVER4, 1, 2),
            pk.udp("fd00:7::2", "fd00:20::10", 1, 2, b"x" * 30), pk.echo("10.7.0.2", SERVER4, 1)]
    ps = []
    for n in range(4000):
        p = bytearray(base[n % len(base)])
        for _ in range(rng.randrange(1, 4)):
            p[rng.randrange(len(p))] = rng.randrange(256)
        ps.append(bytes(p[:rng.randrange(len(p) + 1)] if rng.random() < 0.2 else p))
    r = run_replay(CONF, write_pcap(ps, RAW))
    equal(r.summary["packets"], 4000, "all were read")
    check(len(r.summary["dropped"]) >= 3 and r.summary["forwarded"] > 100, "many kinds: %r" % r.summary)


need()
run(files, outputs, names, configurations, usage, small_outputs, broken_packets)
