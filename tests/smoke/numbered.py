# SPDX-License-Identifier: BSD-3-Clause
"""Numbered datagrams, 20 a second, and what became of them.

numbered.py echo ADDRESS PORT		answers each with itself
numbered.py sink ADDRESS PORT		counts; the state is the last line written
numbered.py send ADDRESS PORT COUNT	only sends
numbered.py ask ADDRESS PORT COUNT	sends and counts the answers
"""

import select
import socket
import struct
import sys
import time

RATE = 20


class Counter:
    """What arrived: every number once and in order, or lost, doubled, late."""

    def __init__(self):
        self.next = self.received = self.doubled = self.late = 0
        self.missing = set()

    def take(self, n):
        if n >= self.next:
            self.missing.update(range(self.next, n))
            self.next = n + 1
            self.received += 1
        elif n in self.missing:
            self.missing.remove(n)
            self.late += 1
            self.received += 1
        else:
            self.doubled += 1

    def __str__(self):
        return f"lost {len(self.missing)} doubled {self.doubled} late {self.late}"


def serve(s, answer):
    c = Counter()
    shown = 0.0
    while True:
        ready, _, _ = select.select([s], [], [], 0.5)
        if ready:
            data, peer = s.recvfrom(2048)
            c.take(struct.unpack("!I", data[:4])[0])
            if answer:
                s.sendto(data, peer)
        if time.monotonic() - shown > 0.5:
            shown = time.monotonic()
            print(f"received {c.received} next {c.next} {c}")


def send(s, count, answers):
    c = Counter()
    s.setblocking(False)
    start = time.monotonic()
    sent = 0
    end = count / RATE + 3
    while (now := time.monotonic() - start) < end and not (sent == count and (not answers or c.received == count)):
        if sent < count and now >= sent / RATE:
            # sizes vary, so that padding does
            s.send(struct.pack("!I", sent) + bytes(sent % 200))
            sent += 1
            if sent == count:
                end = now + 3
        select.select([s], [], [], max(0.0, min(sent / RATE - now, 0.05)) if sent < count else 0.1)
        try:
            while answers:
                c.take(struct.unpack("!I", s.recv(2048)[:4])[0])
        except (BlockingIOError, ConnectionRefusedError):
            pass
    c.missing.update(range(c.next, sent))
    print(f"sent {sent} received {c.received} {c}")


what, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
if what in ("echo", "sink"):
    sock.bind((address, port))
    serve(sock, what == "echo")
else:
    sock.connect((address, port))
    send(sock, int(sys.argv[4]), what == "ask")
