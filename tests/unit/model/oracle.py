#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Independent oracle of canonical JSON, hashes of objects, their sum and the chain of transactions.

json and hashlib of the standard library; shares no code with control/model. Prints vectors.h; `--check FILE` compares instead (exit 1
when it differs).
"""
import hashlib
import json
import random
import sys

KINDS = ["interface", "gateway", "peer", "rule", "role_map", "setting"]
CHARS = ["a", "Z", "0", " ", "\"", "\\", "/", "\n", "\t", "\r", "\b", "\f", "\x01", "\x1f", "\x7f", "\u00e9", "\u20ac", "\ufffd",
         "\U0001f600", "\u2028"]


def canon(v):
    return json.dumps(v, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def part(b):
    return len(b).to_bytes(8, "little") + b


def blake(*parts):
    return hashlib.blake2b(b"".join(map(part, parts)), digest_size=32).digest()


def text(rnd):
    return "".join(rnd.choice(CHARS) for _ in range(rnd.randrange(8)))


def value(rnd, depth):
    kind = rnd.randrange(7 if depth else 5)
    if kind == 0:
        return rnd.choice([None, True, False])
    if kind == 1:
        return rnd.choice([0, -1, 1, 2**53, -2**53, 2**63 - 1, -2**63, rnd.randrange(10**9)])
    if kind < 5:
        return text(rnd)
    if kind == 5:
        return [value(rnd, depth - 1) for _ in range(rnd.randrange(4))]
    return obj(rnd, depth - 1, rnd.randrange(5))


def obj(rnd, depth, n):
    return {text(rnd): value(rnd, depth) for _ in range(n)}


def literal(b):
    """A C string; three octal digits, so that nothing runs into them."""
    return '"' + "".join(chr(c) if 32 <= c < 127 and c not in (34, 92, 63) else "\\%03o" % c for c in b) + '"'


def shuffled(rnd, v):
    """Keys in another order, spaces, escapes that need not be."""
    if isinstance(v, dict):
        items = [(json.dumps(k), shuffled(rnd, x)) for k, x in v.items()]
        rnd.shuffle(items)
        return "{ " + " , ".join(k + " : " + x for k, x in items) + " }"
    if isinstance(v, list):
        return "[ " + ", ".join(shuffled(rnd, x) for x in v) + "]"
    return json.dumps(v)


def render():
    rnd = random.Random(20261126)
    out = ["/* SPDX-License-Identifier: BSD-3-Clause */", "/* Made by oracle.py. */", "/* clang-format off */", "",
           "struct object_vector {", "\tconst char *kind, *id, *given, *canon, *hash, *sum;", "};", "",
           "/* sum: of this one and all before it */", "static const struct object_vector object_vectors[] = {"]
    total = 0
    for i in range(60):
        kind, name = rnd.choice(KINDS), "id-%d" % rnd.randrange(1000)
        v = obj(rnd, 4, 40 if i % 15 == 0 else rnd.randrange(7))
        c = canon(v)
        h = blake(kind.encode(), name.encode(), c)
        total = (total + int.from_bytes(h, "little")) % 2**256
        out.append("\t{%s, %s,\n\t %s,\n\t %s,\n\t \"%s\",\n\t \"%s\"}," % (
            literal(kind.encode()), literal(name.encode()), literal(shuffled(rnd, v).encode()), literal(c), "b2b:" + h.hex(),
            "b2b:" + total.to_bytes(32, "little").hex()))
    out += ["};", "", "struct chain_vector {", "\tconst char *txn, *chain;", "};", "",
            "static const struct chain_vector chain_vectors[] = {"]
    chain = ""
    for seq in range(1, 16):
        ops = [{"op": "put", "kind": rnd.choice(KINDS), "id": "id-%d" % i, "rev": rnd.randrange(100), "obj": obj(rnd, 3, 3)}
               for i in range(rnd.randrange(4))] + [{"op": "del", "kind": "peer", "id": "x", "rev": seq}]
        txn = {"prev": seq - 1, "seq": seq, "ts": "2026-11-26T15:00:%02dZ" % seq, "actor": "token:0a1B2c3D4e", "cause": text(rnd)}
        if seq % 3 == 0:
            txn["policy_version"] = seq
        chain = "b2b:" + blake(chain.encode(), canon(dict(txn, ops=ops))).hex()
        sent = dict(txn, ops=[dict(o, scope="wg0") for o in ops], chain=chain, sub="r-%d" % seq, epoch={"number": 1})
        out.append("\t{%s,\n\t \"%s\"}," % (literal(shuffled(rnd, sent).encode()), chain))
    return "\n".join(out + ["};", ""])


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        with open(sys.argv[2], encoding="ascii") as f:
            sys.exit(0 if f.read() == render() else 1)
    sys.stdout.write(render())
