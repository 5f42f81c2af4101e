#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The chain and the seals of audit records, verified a second time, from docs/audit.md alone. Records must come in their order.

    seals.py FILE...    files of JSON lines; prints "N records, M seals, key KEY" or what is wrong, with status 1
"""

import base64
import hashlib
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Broken(Exception):
    pass


def link(before, record):
    """The chain of a record behind `before`."""
    o = json.loads(json.dumps(record))
    inside = o["sluice"] if isinstance(o.get("sluice"), dict) else o
    for name in ("chain", "signature"):
        inside.pop(name, None)
    text = json.dumps(o, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(before + text.encode(), digest_size=32).digest()


def check(records, key=None):
    """@return (records, seals, the key); the first one must be a seal."""
    at = n = None
    count = seals = 0
    for r in records:
        inside = r["sluice"] if isinstance(r.get("sluice"), dict) else r
        number = inside["chain_n"] if inside is not r else r["n"]
        seal = inside.get("seal")
        if at is None:
            if seal is None:
                raise Broken(f"{number}: the first is no seal")
            at, n = bytes.fromhex(seal["prev"]), number - 1
        if number != n + 1:
            raise Broken(f"{number} after {n}")
        if seal and bytes.fromhex(seal["prev"]) != at:
            raise Broken(f"{number}: another record was before")
        at, n = link(at, r), number
        if at.hex() != inside.get("chain"):
            raise Broken(f"{number}: changed")
        count += 1
        if seal is None:
            continue
        seals += 1
        key = key or seal["key"]
        if seal["key"] != key:
            raise Broken(f"{number}: a foreign key")
        try:
            Ed25519PublicKey.from_public_bytes(base64.b64decode(key)).verify(base64.b64decode(inside["signature"]), b"sluice audit seal 1\n" + at)
        except InvalidSignature:
            raise Broken(f"{number}: the signature is wrong") from None
    if count == 0:
        raise Broken("no record")
    return count, seals, key


def admin(files):
    for name in files:
        with open(name, encoding="utf-8") as f:
            for line in f:
                r = json.loads(line)
                if r["event"]["dataset"] in ("sluice.control", "sluice.audit"):
                    yield r


if __name__ == "__main__":
    try:
        print("%d records, %d seals, key %s" % check(admin(sys.argv[1:])))
    except Broken as e:
        print(e)
        sys.exit(1)
