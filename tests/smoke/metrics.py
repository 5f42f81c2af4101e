# SPDX-License-Identifier: BSD-3-Clause
"""What a Prometheus server sees of the gateway, by its own parser, against what the RPC tells: metrics.py SOCKET HOST:PORT.
Each counter is asked by RPC before and after the scrape, and must lie between. Prints the number of samples."""

import json
import socket
import sys
import time
import urllib.request

from prometheus_client.parser import text_string_to_metric_families


def call(method, **params):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(sys.argv[1])
    s.sendall((json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n").encode())
    answer = json.loads(s.makefile().readline())
    if "error" in answer:
        sys.exit(f"{method}: {answer['error']}")
    return answer["result"]


def check_buckets(family):
    """Buckets grow up to the count, and the sum lies between what they allow."""
    series = {}
    for s in family.samples:
        labels = dict(s.labels)
        le = float(labels.pop("le", "nan"))
        series.setdefault(tuple(sorted(labels.items())), {})[s.name.removeprefix(family.name), le] = s.value
    for labels, v in series.items():
        at = {le: n for (_, le), n in v.items() if le == le}
        count = next(n for (name, _), n in v.items() if name == "_count")
        total = next(n for (name, _), n in v.items() if name == "_sum")
        grow = [at[le] for le in sorted(at)]
        bounds = sorted(at)
        most = [b - a for a, b in zip([0] + grow, grow)]
        low = sum(n * le for n, le in zip(most, [0] + bounds))
        high = sum(n * le for n, le in zip(most, bounds) if n)
        if grow != sorted(grow) or grow[-1] != count or not low * 0.999 - 1e-5 <= total <= high * 1.001 + 1e-5:
            sys.exit(f"{family.name}{labels}: {at}, count {count}, sum {total}, which lies between {low} and {high}")


def scrape():
    with urllib.request.urlopen(f"http://{sys.argv[2]}/metrics", timeout=10) as r:
        if r.headers["Content-Type"] != "text/plain; version=0.0.4; charset=utf-8":
            sys.exit(f"content type {r.headers['Content-Type']}")
        text = r.read().decode()
    found = {}
    for family in text_string_to_metric_families(text):
        if not family.documentation or family.type not in ("counter", "gauge", "histogram", "summary"):
            sys.exit(f"family {family.name}: type {family.type}, help {family.documentation!r}")
        if family.type == "histogram":
            check_buckets(family)
        for s in family.samples:
            if (family.type == "counter") != s.name.endswith("_total"):
                sys.exit(f"{s.name}: a {family.type}")
            key = (s.name, tuple(sorted(s.labels.items())))
            if key in found:
                sys.exit(f"twice: {key}")
            found[key] = s.value
    return found


def by_rpc():
    """The same numbers, by name and labels."""
    out = {}

    def put(name, value, **labels):
        key = (name, tuple(sorted(labels.items())))
        out[key] = out.get(key, 0) + value

    for p in call("port.stats")["ports"]:
        for d in "rx", "tx":
            for what in "packets", "bytes":
                put(f"sluice_port_{d}_{what}_total", p[f"{d}_{what}"], port=p["name"])
        for field, direction, reason in (("rx_missed", "rx", "queue_full"), ("rx_errors", "rx", "error"),
                                         ("rx_nombuf", "rx", "no_buffer"), ("tx_errors", "tx", "error")):
            put("sluice_port_dropped_packets_total", p[field], port=p["name"], direction=direction, reason=reason)
    for d in call("drops.get", all=True)["drops"]:
        put("sluice_dropped_packets_total", d["packets"], reason=d["reason"])
        if d["reason"] in ("no_role", "denied", "map_error", "target_withdrawn", "log_lost"):
            put("sluice_authz_denied_packets_total", d["packets"], mode="enforce", verdict="deny", reason=d["reason"])
    stats = call("stats.get")
    for s in stats["stages"]:
        put("sluice_wg_decrypt_packets_total", s["decrypt_success"], result="ok")
        put("sluice_wg_decrypt_packets_total", s["decrypt_failure"], result="auth_fail")
        put("sluice_authz_judged_packets_total", s["policy_hits"], stage=s["stage"], by="flow")
        put("sluice_authz_judged_packets_total", s["policy_misses"], stage=s["stage"], by="rules")
        if s["stage"] == "pre_encrypt":
            put("sluice_wg_encrypt_packets_total", s["passed"], result="ok")
    for name, n in stats["handshakes"].items():
        if name.endswith(("_rx", "_tx")):
            kind, direction = name.rsplit("_", 1)
            put("sluice_wg_handshakes_total", n, type=kind.removesuffix("s"), direction=direction)
        elif name.startswith("sessions_"):
            put("sluice_wg_sessions_total", n, role=name.removeprefix("sessions_"))
        else:
            put("sluice_wg_under_load_seconds_total", n)
    audit = call("audit.status")
    for ring in audit["lcores"]:
        for t in ring["types"]:
            for fate in "recorded", "suppressed", "not_selected", "overwritten":
                put("sluice_log_records_total", t[fate], type=t["type"], fate=fate)
            if t["type"] == "would_deny":
                put("sluice_authz_denied_packets_total", t["seen"], mode="observe", verdict="allow", reason="any")
            if t["type"] == "allow":
                put("sluice_authz_allowed_flows_total", t["seen"])
    for s in audit["sinks"]:
        for name, field in (("events", "drained"), ("acked_events", "acked"), ("errors", "errors")):
            put(f"sluice_log_{name}_total", s[field], sink=s["name"])
        for d in s["drops"]:
            put("sluice_log_dropped_events_total", d["records"], sink=s["name"], reason=d["reason"])
    for w in call("sys.lcores")["lcores"]:
        if w["role"] == "worker":
            put("sluice_flow_table_full_packets_total", w["flow_full"], worker=str(w["index"]))
    policy = call("policy.status")
    put("sluice_policy_version", policy.get("version", 0))
    for peer in call("peer.list")["peers"]:
        put("sluice_peers", 1, interface=peer["interface"], state=peer["state"])
    return out


def main():
    time.sleep(1.1)  # what is kept of the last answer is old
    before = by_rpc()
    now = scrape()
    after = by_rpc()
    wrong = 0
    for key in sorted(before.keys() | after.keys()):
        a, b = before.get(key, 0), after.get(key, 0)
        if key not in now or not min(a, b) <= now[key] <= max(a, b):
            print(f"{key}: {now.get(key)}, by RPC {a} before and {b} after", file=sys.stderr)
            wrong += 1
    # and none that the RPC does not know
    told = {name for name, _ in before}
    for key in sorted(now):
        if key[0] in told and key not in before and key not in after and now[key] != 0:
            print(f"{key}: {now[key]}, not by RPC", file=sys.stderr)
            wrong += 1
    # each peer has its series: of them the RPC tells name and bytes
    want = sorted((p["interface"], p["rx_bytes"], p["tx_bytes"]) for p in call("peer.list")["peers"])
    have = sorted((dict(k[1])["interface"], v, now[("sluice_peer_transmit_bytes_total", k[1])])
                  for k, v in now.items() if k[0] == "sluice_peer_receive_bytes_total")
    if have and [(i, int(a), int(b)) for i, a, b in have] != want:
        print(f"peers: {have}, by RPC {want}", file=sys.stderr)
        wrong += 1
    print(len(now))
    sys.exit(wrong > 0)


main()
