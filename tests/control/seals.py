#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The chain and the seals of audit records, verified a second time, from docs/audit.md alone. Records must come in their order.

    seals.py FILE...    files of JSON lines; prints "N records, M seals, key KEY" or what is wrong, with status 1;
                        with status 3 also what nobody vouches for
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


class Reader:
    """What docs/audit.md says of a record, of those before it, and of what nobody vouches for (`doubts`)."""

    def __init__(self, key=None, rows=False):
        self.key, self.rows = key, rows
        self.at = self.n = self.chain = None
        self.count = self.seals = self.unsigned = 0
        self.each = self.stopped = False
        self.loose = []
        self.doubts = []

    def record(self, r):
        inside = r["sluice"] if isinstance(r.get("sluice"), dict) else r
        number = inside.get("chain_n") if inside is not r else r["n"]
        seal = inside.get("seal")
        if "chain" not in inside:
            if not self.rows and self.at is not None:
                raise Broken("a record without a chain")
            self.loose.append(number)
            return
        if seal:
            self.stand(number, seal)
        elif self.at is None:
            raise Broken(f"{number}: the first is no seal")
        if self.loose and self.rows:
            raise Broken(f"{self.loose[0]}: no chain, and no seal tells")
        if number != self.n + 1:
            raise Broken(f"{number} after {self.n}")
        self.at, self.n = link(self.at, r), number
        if self.at.hex() != inside["chain"]:
            raise Broken(f"{number}: changed")
        self.count += 1
        if seal:
            self.signed(number, seal, inside.get("signature"))
        elif self.each or (self.stopped and not self.rows):
            raise Broken(f"{number}: not signed")
        else:
            self.unsigned += 1
            self.stopped = False

    def stand(self, number, seal):
        """Where a seal says that it stands, and what it tells of those before."""
        told = seal.get("unsealed")
        if self.at is not None and told and (told["from"], told["to"]) != (self.n - self.unsigned + 1, self.n):
            raise Broken(f"{number}: tells of other unsigned records")
        if self.unsigned and (told or seal["id"] != self.chain):
            self.doubts.append(f"{self.unsigned} unsigned before {number}")
        if self.rows:
            self.tell_loose(number, seal)
        prev = bytes.fromhex(seal["prev"])
        if self.at is None:
            self.at, self.n = prev, number - 1
        elif seal["id"] != self.chain and number == 1 and not self.rows:
            self.doubts.append(f"a chain ends with {self.n}")
            self.at, self.n = prev, 0
        elif number == self.n + 1 and prev != self.at:
            raise Broken(f"{number}: another record was before")
        if seal["id"] != self.chain:
            self.each = False
        self.chain = seal["id"]

    def tell_loose(self, number, seal):
        if seal.get("again"):
            raise Broken(f"{number}: a chain begins again")
        if not self.loose:
            return
        if self.at is not None:
            raise Broken(f"{self.loose[0]}: a chain was taken away")
        if seal.get("loose") != {"from": self.loose[0], "to": self.loose[-1]}:
            raise Broken(f"{number}: tells of other rows without a chain")
        self.loose = []

    def signed(self, number, seal, signature):
        self.key = self.key or seal["key"]
        if seal["key"] != self.key:
            raise Broken(f"{number}: a foreign key")
        try:
            Ed25519PublicKey.from_public_bytes(base64.b64decode(self.key)).verify(base64.b64decode(signature), b"sluice audit seal 1\n" + self.at)
        except (InvalidSignature, TypeError):
            raise Broken(f"{number}: the signature is wrong") from None
        self.seals += 1
        self.unsigned = 0
        self.each = self.each or seal["why"] == "record" or bool(seal.get("each"))
        self.stopped = seal["why"] == "stop"
        if seal["why"] == "found":
            self.doubts.append(f"{number}: no note")


def read(records, key=None, rows=False):
    """@return what there is to say of them, in their order."""
    reader = Reader(key, rows)
    for r in records:
        reader.record(r)
    if reader.count == 0 or (rows and reader.loose):
        raise Broken("no record, or the last ones have no chain")
    return reader


def check(records, key=None, rows=False):
    """@return (records, seals, the key); the first one must be a seal."""
    reader = read(records, key, rows)
    return reader.count, reader.seals, reader.key


def admin(files):
    for name in files:
        with open(name, encoding="utf-8") as f:
            for line in f:
                r = json.loads(line)
                if r["event"]["dataset"] in ("sluice.control", "sluice.audit"):
                    yield r


if __name__ == "__main__":
    try:
        found = read(admin(sys.argv[1:]))
    except Broken as e:
        print(e)
        sys.exit(1)
    print("%d records, %d seals, key %s" % (found.count, found.seals, found.key))
    for doubt in found.doubts:
        print(doubt)
    sys.exit(3 if found.doubts else 0)
