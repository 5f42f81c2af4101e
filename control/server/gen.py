#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""From openapi.json: the table of operations in C, the prototypes of their handlers, the page itself as bytes, and a table for people.

    gen.py header|table|page|doc OPENAPI.json > OUTPUT
"""

import json
import re
import sys

METHODS = ["get", "put", "post", "patch", "delete"]
TYPES = {"string": "SL_PARAM_STRING", "integer": "SL_PARAM_INTEGER", "boolean": "SL_PARAM_BOOLEAN"}
BODY_MAX = 1 << 20


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def resolve(doc, node):
    while "$ref" in node:
        ref, node = node["$ref"], doc
        for part in ref.lstrip("#/").split("/"):
            node = node[part]
    return node


def operations(doc):
    for path, item in doc["paths"].items():
        for method, op in item.items():
            if method not in METHODS or not op.get("operationId") or not op.get("x-roles"):
                sys.exit(f"{path}: {method}: a known method, operationId and x-roles are needed")
            yield path, method, op


def snake(name):
    return re.sub(r"([A-Z])", r"_\1", name).lower()


def query(doc, op):
    params = [resolve(doc, p) for p in op.get("parameters", [])]
    return [p for p in params if p["in"] == "query"]


def query_names(doc):
    names = []
    for _, _, op in operations(doc):
        names += [p["name"] for p in query(doc, op) if p["name"] not in names]
    return sorted(names)


def place(method, op):
    """Changes are the writer's, what only reads is done at once; "x-runs" says otherwise."""
    usual = "loop" if method == "get" or op.get("x-reads") else "writer"
    return f"SL_RUNS_{op.get('x-runs', usual).upper()}"


def q(text):
    return json.dumps(text) if text is not None else "NULL"


def header(doc):
    out = ["/* Made from openapi.json. */", "#ifndef SL_REST_OPS_H", "#define SL_REST_OPS_H", "", '#include "operation.h"', "", "enum sl_query {"]
    out += [f"\tSL_Q_{snake(n).upper()}," for n in query_names(doc)] + ["\tSL_Q_N", "};", ""]
    out += [f"int sl_op_{snake(op['operationId'])}(struct sl_call *c, struct sl_error *e);" for _, _, op in operations(doc)]
    out += ["", "extern const struct sl_rest_op sl_rest_ops[];", "extern const unsigned sl_rest_n_ops;",
            "extern const char *const sl_query_names[];", "extern const char sl_rest_page[];",
            "extern const size_t sl_rest_page_len;", "", "#endif"]
    return "\n".join(out)


def body_schema(op):
    body = op.get("requestBody")
    return body["content"]["application/json"]["schema"]["$ref"].split("/")[-1] if body else None


def param(p):
    s = p["schema"]
    return (f"\t{{SL_Q_{snake(p['name']).upper()}, {TYPES[s['type']]}, {str(p.get('required', False)).lower()}, "
            f"{s.get('minimum', 0)}, {s.get('maximum', '((int64_t)1 << 53)')}, {s.get('maxLength', 0)}}},")


def table(doc):
    out = ['#include "sl_rest_ops.h"', ""]
    rows = []
    for path, method, op in operations(doc):
        name = snake(op["operationId"])
        params = query(doc, op)
        if params:
            out += [f"static const struct sl_rest_param {name}_params[] = {{", *map(param, params), "};"]
        flag = lambda word: str(bool(op.get(word))).lower()
        rows.append(f"\t{{{q(op['operationId'])}, {q(path)}, {q(op['x-roles'])}, {q(body_schema(op))}, SL_METHOD_{method.upper()}, {place(method, op)}, "
                    f"{flag('x-if-match')}, {flag('x-reads')}, {flag('x-body-text')}, {op.get('x-body-max', BODY_MAX)}, "
                    f"{name + '_params' if params else 'NULL'}, {len(params)}, sl_op_{name}}},")
    out += ["", "const struct sl_rest_op sl_rest_ops[] = {", *rows, "};", f"const unsigned sl_rest_n_ops = {len(rows)};",
            "const char *const sl_query_names[] = {" + ", ".join(map(q, query_names(doc))) + "};"]
    return "\n".join(out)


def page(doc):
    data = json.dumps(doc, ensure_ascii=False, separators=(",", ":")).encode()
    lines = [", ".join(str(b if b < 128 else b - 256) for b in data[i:i + 24]) for i in range(0, len(data), 24)]
    return "\n".join(['#include "sl_rest_ops.h"', "", "const char sl_rest_page[] = {", ",\n".join(lines), "};",
                      "const size_t sl_rest_page_len = sizeof(sl_rest_page);"])


def notes(doc, op):
    out = []
    if op.get("x-if-match"):
        out.append("`If-Match`")
    out += ["`?" + p["name"] + "`" for p in query(doc, op) if p["name"] not in ("at_seq", "limit", "after")]
    return " ".join(out)


def doc_page(doc):
    tags = {}
    for path, method, op in operations(doc):
        tags.setdefault(op["tags"][0], []).append(
            f"| {method.upper()} | `{path}` | {op['x-roles']} | {op['summary']} | {notes(doc, op)} |")
    out = ["# Operations of the REST API", "",
           "Made from `control/server/openapi.json` by `tools/gen-docs`; [rest.md](rest.md) tells the conventions. Paths follow `/api/v1`. "
           "`viewer`, `operator` and `admin` stand for themselves and what is above; `If-Match` must be sent where it stands. "
           "Lists take `?limit` and `?after`, whoever is logged in may add `?at_seq` to a GET."]
    for tag, rows in sorted(tags.items()):
        out += ["", f"## {tag}", "", "| method | path | roles | does | takes |", "|---|---|---|---|---|", *rows]
    return "\n".join(line.rstrip() for line in out)


print({"header": header, "table": table, "page": page, "doc": doc_page}[sys.argv[1]](load(sys.argv[2])))
