# SPDX-License-Identifier: BSD-3-Clause
"""Metrics as docs/metrics.md lists them, against what is exported and what is made of them.

metrics_doc.py scrape DOC SECTION[,SECTION...] FILE  a scrape: nothing that the page does not list, each with the type and labels of
                                                     the page; and all of these sections, of -SECTION nothing
metrics_doc.py used DOC RULES DASHBOARD              alert rules and dashboard: nothing that the page does not list, no other labels
metrics_doc.py alerts RULES TESTS                    each alert has a test in which it fires; they pass, where there is a promtool"""

import json
import os
import re
import shutil
import subprocess
import sys

TARGET = {"instance", "job"}  # Prometheus' own
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
OWN = {"histogram": "le", "summary": "quantile"}


def load(path):
    """{section: {name: (type, labels)}}; the heads of a section are "Gateway", "Gateway/Peers", ..."""
    out, top, section = {}, "", ""
    for line in open(path, encoding="utf-8"):
        if line.startswith("## "):
            top = section = line[3:].strip()
        elif line.startswith("### "):
            section = f"{top}/{line[4:].strip()}"
        elif m := re.match(r"\| `(\w+)` \| (\w+) \|([^|]*)\|", line):
            out.setdefault(section, {})[m[1]] = (m[2], set(re.findall(r"`(\w+)`", m[3])))
    return out


def promtool(*args, text=None):
    """What it has against something; "" without it."""
    tool = shutil.which("promtool")
    run = subprocess.run([tool, *args], input=text, capture_output=True, text=True) if tool else None
    return f"promtool: {run.stdout}{run.stderr}" if run and run.returncode else ""


def problems_of_scrape(doc, sections, text):
    from prometheus_client.parser import text_string_to_metric_families

    program = sections[0].split("/")[0]
    listed = {name: v for s, names in doc.items() if s.split("/")[0] == program for name, v in names.items()}
    there = set()
    for family in text_string_to_metric_families(text):
        name = family.name + ("_total" if family.type == "counter" and not family.name.endswith("_total") else "")
        name = name if name in listed or family.name not in listed else family.name
        if name not in listed:
            yield f"{name} is exported and not listed"
            continue
        there.add(name)
        kind, labels = listed[name]
        if kind != family.type:
            yield f"{name} is a {family.type}, listed as {kind}"
        for s in family.samples:
            have = set(s.labels) - {OWN.get(kind)}
            if have != labels:
                yield f"{name} has the labels {sorted(have)}, listed with {sorted(labels)}"
                break
    for s in sections:
        if s.startswith("-"):
            for name in sorted(doc[s[1:]].keys() & there):
                yield f"{name} is exported, and of the section {s[1:]}"
            continue
        for name in sorted(doc[s].keys() - there):
            yield f"{name} is listed and not exported"
    if wrong := promtool("check", "metrics", text=text):
        yield wrong


def strings(s):
    """Without the texts in quotation marks, which may hold anything."""
    return re.sub(r'"[^"]*"', '""', s)


def problems_of_expr(listed, where, expr):
    used = set()
    for m in re.finditer(r"\b((?:sluice|wireguard)_\w+)(?:\{([^}]*)\})?", strings(expr)):
        name = m[1]
        kinds = {n + suffix: (kind, labels) for n, (kind, labels) in listed.items() for suffix in SUFFIXES.get(kind, ("",))}
        if name not in kinds:
            yield f"{where}: there is no {name}"
            continue
        kind, labels = kinds[name]
        labels = labels | TARGET | ({OWN[kind]} if kind in OWN else set())
        used |= labels
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", m[2] or ""):
            if label not in labels:
                yield f"{where}: {name} has no label {label}"
    if not used:
        yield f"{where}: no metric of ours in {expr!r}"
    for m in re.finditer(r"\b(?:by|on|without|group_left)\s*\(([^)]*)\)", expr):
        for label in re.findall(r"\w+", m[1]):
            if label not in used:
                yield f"{where}: no label {label} in {expr}"


def problems_of_rules(listed, path):
    import yaml

    names = set()
    for group in yaml.safe_load(open(path, encoding="utf-8"))["groups"]:
        for r in group["rules"]:
            where = f"{os.path.basename(path)}: {r.get('alert')}"
            if r.keys() - {"alert", "expr", "for", "labels", "annotations"} or r["labels"].keys() != {"severity"}:
                yield f"{where}: {sorted(r)}, {r.get('labels')}"
            if r["alert"] in names or not re.fullmatch(r"(\d+[smh])?", str(r.get("for", ""))):
                yield f"{where}: twice, or for {r.get('for')}"
            names.add(r["alert"])
            yield from problems_of_expr(listed, where, r["expr"])
            shown = set(re.findall(r"\$labels\.(\w+)", r["annotations"]["summary"]))
            left = re.findall(r"\bby \(([^)]*)\)", r["expr"])
            known = set(re.findall(r"\w+", left[0])) if left else TARGET | {
                label for n, (_, labels) in listed.items() if n in r["expr"] for label in labels}
            for label in sorted(shown - known):
                yield f"{where}: the summary shows {label}, which the result has not"
    if wrong := promtool("check", "rules", path):
        yield wrong


def problems_of_alerts(rules, tests):
    import yaml

    names = {r["alert"] for g in yaml.safe_load(open(rules, encoding="utf-8"))["groups"] for r in g["rules"]}
    fire = {a["alertname"] for t in yaml.safe_load(open(tests, encoding="utf-8"))["tests"] for a in t["alert_rule_test"] if a.get("exp_alerts")}
    for name in sorted(names ^ fire):
        yield f"{name} has no test in which it fires" if name in names else f"a test of {name}, which is none"
    if wrong := promtool("test", "rules", tests):
        yield wrong


def problems_of_dashboard(listed, path):
    board = json.load(open(path, encoding="utf-8"))
    ids = [p["id"] for p in board["panels"]]
    if len(set(ids)) != len(ids):
        yield "two panels with one id"
    variables = {v["name"] for v in board["templating"]["list"]} | {"__rate_interval"}
    for v in board["templating"]["list"]:
        if v["type"] == "query":
            yield from problems_of_expr(listed, f"variable {v['name']}", v["query"])
    for p in board["panels"]:
        for t in p.get("targets", []):
            where = f"panel {p['title']}"
            yield from problems_of_expr(listed, where, t["expr"])
            for name in re.findall(r"\$\{?(\w+)", t["expr"]):
                if name not in variables:
                    yield f"{where}: no variable {name}"


def main():
    how, *args = sys.argv[1:]
    try:
        import yaml  # noqa: F401
    except ImportError:
        how == "scrape" or skip("no python3-yaml")
    if how == "alerts":
        wrong = list(problems_of_alerts(*args))
    else:
        doc = load(args[0])
        listed = {name: v for names in doc.values() for name, v in names.items()}
    if how == "scrape":
        wrong = list(problems_of_scrape(doc, args[1].split(","), open(args[2], encoding="utf-8").read()))
    elif how == "used":
        wrong = list(problems_of_rules(listed, args[1])) + list(problems_of_dashboard(listed, args[2]))
    for w in wrong:
        print(w, file=sys.stderr)
    if how == "alerts" and not wrong and not shutil.which("promtool"):
        skip("no promtool (package prometheus): whether the alerts fire is not tested")
    sys.exit(len(wrong) > 0)


def skip(why):
    print(why)
    sys.exit(77)


main()
