# SPDX-License-Identifier: BSD-3-Clause
"""Random policies and packets: the naive evaluator against sl_judge() and sl_polset_eval().

    SEED=N PAIRS=N test_oracle.py JUDGE_DRIVER

Each document is drawn from its own seed, which is printed when it fails, with the document and the packet.
"""
import collections
import ipaddress
import json
import os
import random
import subprocess
import sys
import time

import naive
import random_policy

PACKETS = 250  # a document
WHY = ["rule", "zone_default", "no_role", "map_error", "withdrawn"]


class Driver:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.send("".join(f"I {i}\n" for i in random_policy.INTERFACES))
        self.send("".join(f"P {name} {interface}\n" for name, interface in random_policy.PEERS))

    def send(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def ask(self, document, now, packets):
        """One line a packet."""
        text = json.dumps(document)
        self.send(f"D {random_policy.LOADED} {now} {len(text)} {len(packets)}\n{text}"
                  + "".join(self.query(p) for p in packets))
        answers = []
        for _ in packets:
            line = self.process.stdout.readline()
            if line.startswith("E ") or not line:
                raise AssertionError(f"the document is refused: {line}{text}")
            answers.append(line.split())
        return answers

    @staticmethod
    def query(p):
        width = 8 if p.version == 4 else 32
        return (f"{p.version} {p.protocol} {random_policy.INTERFACES.index(p.interface) + 1} "
                f"{random_policy.PEERS.index(p.peer) + 1} {int(p.from_inside)} {p.sport} {p.dport} "
                f"{p.src:0{width}x} {p.dst:0{width}x}\n")

    def close(self):
        self.process.stdin.close()
        if self.process.wait(timeout=30) != 0:
            raise AssertionError("the driver fails")


def same_verdict(want, answer):
    allow, why, role, number, zone, target = answer
    if (allow == "1") != want.allow or WHY[int(why)] != want.why or zone != (want.zone or "-"):
        return False
    if (role, int(number)) not in (want.rules or {("-", 0)}):
        return False
    return target in (want.targets or {"-"})


def agrees(want, answer, roles, packet):
    """All that both forms of the C code say; of a subject the lowest role in the document's order."""
    judged, subject, flags, reference = answer[:6], answer[6], int(answer[7]), answer[8:]
    if not same_verdict(want, judged) or not same_verdict(want, reference) or judged != reference:
        return False
    if want.why == "rule" and subject != judged[2]:
        return False
    if want.why != "rule" and subject != min(want.roles, key=roles.index, default="-"):
        return False
    return packet.from_inside or bool(flags & 1) == (len(want.roles) > 1)


def show(packet):
    make = ipaddress.IPv4Address if packet.version == 4 else ipaddress.IPv6Address
    return (f"{'inside to' if packet.from_inside else 'from'} peer {packet.peer[0]}@{packet.interface}: protocol "
            f"{packet.protocol} {make(packet.src)} port {packet.sport} -> {make(packet.dst)} port {packet.dport}")


def run_document(driver, seed, n, seen):
    generator = random_policy.Generator(random.Random(seed))
    document, now = generator.document(), generator.time()
    packets = random_policy.Packets(generator, document)
    packets = [packets.packet() for _ in range(n)]
    policy, roles = naive.Policy(document, now), list(document["roles"])
    for packet, answer in zip(packets, driver.ask(document, now, packets)):
        want = policy.judge(packet)
        if not agrees(want, answer, roles, packet):
            print(f"SEED={seed} PAIRS={n} at {now}: {show(packet)}\n  naive: allow {want.allow} {want.why} "
                  f"{sorted(want.rules)} zone {want.zone} targets {sorted(want.targets)} roles {sorted(want.roles)}\n"
                  f"  sluice: {' '.join(answer)}\n{json.dumps(document)}")
            return False
        seen[want.why, want.allow] += 1
        seen["several roles"] += len(want.roles) > 1
        seen["17 roles"] += len(want.roles) >= 17
        seen["mirrored rule decides"] += packet.from_inside and bool(want.rules) and not want.roles
    return True


def main():
    pairs = int(os.environ.get("PAIRS", "30000"))
    seed = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 40)))
    print(f"SEED={seed} PAIRS={pairs}", flush=True)
    driver, seen, begin, done = Driver(sys.argv[1]), collections.Counter(), time.monotonic(), 0
    while done < pairs:
        n = min(PACKETS, pairs - done)
        if not run_document(driver, seed + done // PACKETS, n, seen):
            return 1
        done += n
    driver.close()
    print(f"{done} pairs agree, {time.monotonic() - begin:.1f} s:", dict(seen))
    # What never comes up is not tested: of any 30,000 pairs each kind has many.
    kinds = [("rule", True), ("rule", False), ("zone_default", True), ("zone_default", False), ("no_role", False), ("withdrawn", False),
             "several roles", "17 roles", "mirrored rule decides"]
    rare = [k for k in kinds if seen[k] < done // 1000]
    if rare and done >= 10000:
        print("too rare:", rare)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
