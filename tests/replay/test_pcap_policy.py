#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""sluice-replay with policies: what each packet's report says, modes, candidates, times, many flows."""
import json
import random

import packets as pk
from check import check, equal, run
from lockstep import SERVER4, SERVER6
from pcaptool import T0, config, need, path, peer, run_replay, write_config, write_pcap

ALICE4, ALICE6, BOB4 = "10.7.0.2", "fd00:7::2", "10.7.0.3"
OTHER4 = "10.20.0.11"
POLICY = {
    "version": 7,
    "zones": {"vpn": {"id": 1, "type": "vpn", "networks": ["10.7.0.0/16", "fd00:7::/64"], "default_policy": "deny"},
              "servers": {"id": 2, "type": "internal", "networks": ["10.20.0.0/16", "fd00:20::/64"], "default_policy": "deny"}},
    "targets": {"db": {"addresses": [SERVER4 + "/32", SERVER6 + "/128"]}},
    "roles": {"engineer": {"id": 3, "members": ["peer:alice"]}, "guest": {"id": 4, "members": ["peer:bob"]}},
    "rules": [
        {"id": 101, "role": "engineer", "to": ["db"], "protocol": "tcp", "ports": [5432, "8000-8010"], "action": "allow"},
        {"id": 102, "role": "engineer", "to": ["db"], "protocol": "icmp", "action": "allow"},
        {"id": 103, "role": "engineer", "to": ["db"], "protocol": "tcp", "ports": [8005], "action": "deny", "priority": 1},
        {"id": 7, "role": "guest", "to": ["*"], "protocol": "udp", "ports": [53], "action": "allow"}],
}


def write_policy(doc, name="policy.json"):
    with open(path(name), "w", encoding="utf-8") as f:
        json.dump(doc, f)
    return path(name)


def conf(name="sluice.conf", policy=POLICY, **more):
    c = config([peer(1, "alice"), peer(2, "bob"), peer(3, "carol")], **more)
    if policy:
        c["policy"] = {"file": write_policy(policy, name + ".json")}
    return write_config(c, name)


CONF = conf()


def packets():
    return [
        pk.tcp_syn(ALICE4, SERVER4, 1000, 5432),
        pk.tcp_syn(SERVER4, ALICE4, 5432, 1000, flags=0x12),
        pk.tcp_syn(ALICE4, SERVER4, 1001, 22),
        pk.tcp_syn(ALICE4, SERVER4, 1002, 8005),
        pk.echo(ALICE4, SERVER4, 1),
        pk.tcp_syn(ALICE4, OTHER4, 1003, 5432),
        pk.udp(BOB4, SERVER4, 1004, 53, b"q"),
        pk.udp(SERVER4, BOB4, 53, 1004, b"a"),
        pk.udp(BOB4, SERVER4, 1004, 54, b"q"),
        pk.udp("10.7.0.4", SERVER4, 1005, 53, b"q"),
        pk.tcp_syn(SERVER4, ALICE4, 5432, 2000),
        pk.udp(SERVER4, "10.7.0.77", 1, 2, b"x"),
        pk.tcp_syn(ALICE6, SERVER6, 1000, 8010)]


# policy, why, role, rule, target, zone
VERDICTS = [
    ("allow", "rule", "engineer", "engineer/101", "db", "servers"),
    ("allow", "rule", "engineer", "engineer/101", "db", "servers"),
    ("deny", "zone_default", "engineer", None, "db", "servers"),
    ("deny", "rule", "engineer", "engineer/103", "db", "servers"),
    ("allow", "rule", "engineer", "engineer/102", "db", "servers"),
    ("deny", "zone_default", "engineer", None, None, "servers"),
    ("allow", "rule", "guest", "guest/7", "db", "servers"),
    ("allow", "rule", "guest", "guest/7", "db", "servers"),
    ("deny", "zone_default", "guest", None, "db", "servers"),
    ("deny", "no_role", None, None, "db", "servers"),
    ("deny", "no_role", None, None, None, "vpn"),
    (None, None, None, None, None, None),
    ("allow", "rule", "engineer", "engineer/101", "db", "servers")]


def enforced(v):
    return ("forwarded", None) if v[0] == "allow" else ("dropped", "no_role" if v[1] == "no_role" else "denied")


def columns(r):
    return r.column("policy", "why", "role", "rule", "target", "zone")


def what_each_says():
    pcap = write_pcap(packets())
    r = run_replay(CONF, pcap, "--observe")
    equal(columns(r), VERDICTS, "judgements in observe")
    equal(r.column("verdict"), ["skipped" if v[0] is None else "forwarded" for v in VERDICTS], "observe lets all pass")
    equal((r.summary["would_deny"], r.summary["flows"]), (6, 10), "denied in observe")
    equal({m for m in r.column("mode")}, {"observe", None}, "mode")
    g = {x for x in r.column("generation") if x is not None}
    check(len(g) == 1 and g != {0}, "one generation: %r" % g)
    r = run_replay(CONF, pcap, "--enforce")
    equal(columns(r), VERDICTS, "judgements in enforce")
    equal(r.column("verdict", "reason"), [("skipped", "no_peer") if v[0] is None else enforced(v) for v in VERDICTS], "verdicts")
    equal(r.summary["dropped"], {"denied": 4, "no_role": 2}, "dropped by reason")
    equal(len(r.out), r.summary["forwarded"], "what is dropped does not come out")


def a_withdrawn_target():
    """What goes to it or comes from it is lost in either mode; the rest is as before."""
    doc = dict(POLICY, targets={"db": dict(POLICY["targets"]["db"], withdrawn=True)})
    c, pcap = conf("withdrawn.conf", policy=doc), write_pcap(packets())
    touched = [i for i, v in enumerate(VERDICTS) if v[0] and (v[4] == "db" or i == 10)]
    for mode in ("--observe", "--enforce"):
        r = run_replay(c, pcap, mode)
        for i, v in enumerate(VERDICTS):
            if i in touched:
                equal((r.column("verdict", "reason")[i], r.column("policy", "why", "target")[i]),
                      (("dropped", "target_withdrawn"), ("deny", "withdrawn", "db")), "%s packet %d" % (mode, i))
            else:
                equal(columns(r)[i], v, "%s packet %d" % (mode, i))
        equal(r.summary["dropped"]["target_withdrawn"], len(touched), "dropped by reason")


def configured_modes():
    """Modes of the configuration hold unless the command line names one."""
    c = conf("modes.conf", authz={"mode": "enforce", "prefixes": [{"prefix": OTHER4 + "/32", "mode": "observe"}]})
    pcap = write_pcap(packets())
    r = run_replay(c, pcap)
    equal(r.column("verdict", "mode")[5], ("forwarded", "observe"), "the observed target")
    equal(r.column("verdict", "mode")[2], ("dropped", "enforce"), "the rest")
    equal(run_replay(c, pcap, "--enforce").column("verdict", "mode")[5], ("dropped", "enforce"), "--enforce")
    equal(run_replay(c, pcap, "--observe").column("verdict", "mode")[2], ("forwarded", "observe"), "--observe")


def candidate():
    """--policy goes before the configuration's, which need not be there then."""
    doc = json.loads(json.dumps(POLICY))
    doc["rules"].append({"id": 104, "role": "engineer", "to": ["db"], "protocol": "tcp", "ports": [22], "action": "allow"})
    cand = write_policy(doc, "candidate.json")
    pcap = write_pcap(packets())
    equal(run_replay(CONF, pcap, "--enforce", "--policy", cand).column("verdict", "rule")[2], ("forwarded", "engineer/104"),
          "allowed by the candidate")
    c = config([peer(1, "alice"), peer(2, "bob"), peer(3, "carol")])
    c["policy"] = {"file": "/nonexistent/policy.json"}
    gone = write_config(c, "gone.conf")
    equal(columns(run_replay(gone, pcap, "--policy", write_policy(POLICY)))[0], VERDICTS[0], "the file is not needed")
    r = run_replay(gone, pcap, ok=False)
    check(r.code == 1 and "/nonexistent/policy.json" in r.errors, r.errors)
    r = run_replay(CONF, pcap, "--policy", "/nonexistent/p.json", ok=False)
    check(r.code == 1 and "/nonexistent/p.json" in r.errors, r.errors)
    doc["rules"][0]["role"] = "nobody"
    r = run_replay(CONF, pcap, "--policy", write_policy(doc, "bad.json"), ok=False)
    check(r.code == 1 and "bad.json" in r.errors and "/rules/0/role" in r.errors and "role_unknown" in r.errors, r.errors)
    with open(path("broken.json"), "w", encoding="utf-8") as f:
        f.write("{ \"version\": }")
    r = run_replay(CONF, pcap, "--policy", path("broken.json"), ok=False)
    check(r.code == 1 and "broken.json" in r.errors, r.errors)


def times():
    """The wall clock is the capture's, or begins where --at says: a role that ends, a rule that begins."""
    doc = json.loads(json.dumps(POLICY))
    doc["roles"]["engineer"]["members"] = [{"peer": "alice", "expires": "2030-01-01T00:01:00Z"}]
    doc["rules"][0]["not_before"] = "2030-01-01T00:00:30Z"
    pol = write_policy(doc, "times.json")
    pcap = write_pcap([(t, pk.tcp_syn(ALICE4, SERVER4, 1000 + t, 5432)) for t in (0, 29, 32, 58, 63, 90)])
    r = run_replay(CONF, pcap, "--policy", pol, "--enforce", "--at", "2030-01-01T00:00:00Z")
    equal(r.column("verdict", "reason"), [("dropped", "denied")] * 2 + [("forwarded", None)] * 2 + [("dropped", "no_role")] * 2,
          "before, within, after")
    r = run_replay(CONF, pcap, "--policy", pol, "--enforce")
    equal(r.column("verdict", "reason"), [("dropped", "denied")] * 6, "as of the capture (%d) the rule has not begun" % T0)


def first_second():
    """What begins or ends within a second after the first packet does so then, not before."""
    doc = json.loads(json.dumps(POLICY))
    doc["rules"][0]["not_before"] = "2030-01-01T00:00:00.500Z"
    doc["roles"]["guest"]["members"] = [{"peer": "bob", "expires": "2030-01-01T00:00:00.500Z"}]
    pol = write_policy(doc, "second.json")
    pcap = write_pcap([(t, p) for t in (0, 0.3, 1.6) for p in (pk.tcp_syn(ALICE4, SERVER4, 1000 + int(t * 10), 5432),
                                                               pk.udp(BOB4, SERVER4, 2000 + int(t * 10), 53, b"x"))])
    r = run_replay(CONF, pcap, "--policy", pol, "--enforce", "--at", "2030-01-01T00:00:00Z")
    equal(r.column("verdict"), ["dropped", "forwarded"] * 2 + ["forwarded", "dropped"], "before and after")


def long_over():
    """A policy of which something has ended is replayed as a gateway starts with it."""
    doc = json.loads(json.dumps(POLICY))
    doc["rules"][0]["expires"] = "2029-12-31T00:00:00Z"
    pol = write_policy(doc, "over.json")
    r = run_replay(CONF, write_pcap(packets()), "--policy", pol, "--enforce", "--at", "2030-01-01T00:00:00Z")
    equal(r.column("policy", "why", "rule")[0], ("deny", "zone_default", None), "a rule that has ended")
    equal(r.column("policy", "why", "rule")[4], ("allow", "rule", "engineer/102"), "another one")


def both_ways_of_a_denied_flow():
    """Replies of a denied flow are no way in; a flow from inside needs a rule of its own."""
    doc = json.loads(json.dumps(POLICY))
    doc["rules"].append({"id": 8, "role": "guest", "to": ["db"], "protocol": "tcp", "ports": [80], "action": "allow",
                         "bidirectional": True})
    pol = write_policy(doc, "both.json")
    ps = [pk.tcp_syn(SERVER4, BOB4, 80, 3000), pk.tcp_syn(BOB4, SERVER4, 3000, 80, flags=0x12),
          pk.tcp_syn(SERVER4, BOB4, 81, 3000), pk.tcp_syn(BOB4, SERVER4, 3000, 81, flags=0x12)]
    r = run_replay(CONF, write_pcap(ps), "--policy", pol, "--enforce")
    equal(r.column("verdict", "rule"), [("forwarded", "guest/8"), ("forwarded", "guest/8"), ("dropped", None), ("dropped", None)],
          "mirrored")


def many_flows():
    """Thousands of flows against a count made here."""
    rng = random.Random(3)
    ps, want = [], []
    for n in range(6000):
        src = rng.choice([ALICE4, BOB4, "10.7.0.4"])
        port = rng.choice([22, 53, 5432, 8000, 8005, 8011])
        udp = rng.random() < 0.4
        sport = 1024 + n
        ps.append((n * 0.002, pk.udp(src, SERVER4, sport, port, b"x") if udp else pk.tcp_syn(src, SERVER4, sport, port)))
        allow = src == ALICE4 and not udp and port in (5432, 8000) or src == BOB4 and udp and port == 53
        want.append("allow" if allow else "deny")
    r = run_replay(CONF, write_pcap(ps), "--enforce")
    equal(r.column("policy"), want, "policy")
    equal(r.column("verdict"), ["forwarded" if w == "allow" else "dropped" for w in want], "verdicts")
    equal(r.summary["forwarded"], want.count("allow"), "forwarded")
    equal(r.summary["flows"], 6000, "flows")


need()
run(what_each_says, a_withdrawn_target, configured_modes, candidate, times, first_second, long_over, both_ways_of_a_denied_flow, many_flows)
