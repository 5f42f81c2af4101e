#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""No packet is lost to rekeying: numbered streams in both directions across three rekeys, the
gateway being responder, then initiator, with handshake messages that take their time and data of
the old keys that comes late."""
import struct

import packets as pk
from check import check, equal, run
from lockstep import MS, S, SERVER4, Gateway

g = Gateway()
STEP_MS = 100
LATE_MS = 700  # each seventh packet up is so late: old keys are used behind new ones


class Stream:
    """A client that sends and gets a numbered packet each 100 ms and rekeys as a client does."""

    def __init__(self, name, initiator, delay_ms):
        end = {} if initiator else {"endpoint": "203.0.113.77:7000"}
        self.c = g.client(name, "203.0.113.77", 7000, **end)
        self.peer = self.c.peer
        self.initiator, self.delay_ms = initiator, delay_ms
        self.unused = set()  # keypairs that the gateway, as initiator, has not used yet
        self.birth = 0
        self.asked = False
        self.on_way = []     # (when, message)
        self.handshakes = self.number = 0
        self.sent_up, self.up, self.down = [], [], []

    def later(self, ms, msg):
        self.on_way.append((g.now + ms * MS, msg))

    def deliver(self, everything=False):
        for when, msg in self.on_way:
            if everything or when <= g.now:
                self.c.put(msg)
        self.on_way = [] if everything else [x for x in self.on_way if x[0] > g.now]

    def session(self, kp):
        self.peer.current, self.birth, self.asked = kp, g.now, False
        self.handshakes += 1

    def send(self):
        text = struct.pack(">I", self.number)
        g.to_lan(pk.udp(SERVER4, self.c.in4, 1, 2, text))
        if self.peer.current:
            msg = self.peer.current.seal(pk.udp(self.c.in4, SERVER4, 1, 2, text))
            self.sent_up.append(self.number)
            self.later(LATE_MS if self.number % 7 == 0 else 0, msg)
        self.number += 1
        if self.initiator and not self.asked and (not self.birth or g.now - self.birth >= 120 * S):
            self.asked = True
            self.later(self.delay_ms, self.peer.initiation())

    def take(self, frames):
        for f in frames:
            if f.kind == "wg1":
                msg, kp = self.peer.response(self.peer.on_initiation(f.wg))
                self.unused.add(kp.local)
                self.later(self.delay_ms, msg)
            elif f.kind == "wg2":
                self.session(self.peer.on_response(f.wg))
                self.later(0, self.peer.current.seal())
            elif f.kind == "wg4":
                self.take_data(f)
            else:
                self.up.append(struct.unpack(">I", f.ip.data)[0])

    def take_data(self, f):
        kp, _, text = self.peer.open(f.wg)
        if kp.local in self.unused:
            self.unused.discard(kp.local)
            self.session(kp)
        if text:
            self.down.append(struct.unpack_from(">I", text, 28)[0])

    def go(self, seconds):
        end = g.now + seconds * S
        while g.now < end:
            self.send()
            self.deliver()
            self.take(g.run() + g.advance(STEP_MS, STEP_MS))
        self.deliver(everything=True)
        self.take(g.run() + g.advance(1000))


def lossless(name, initiator, delay_ms):
    s = Stream(name, initiator, delay_ms)
    if initiator:  # packets down wait for the first session only where there is an endpoint
        s.session(s.c.handshake())
    s.go(400)
    check(s.handshakes >= 4, "%d handshakes" % s.handshakes)
    equal(sorted(s.up), s.sent_up, "packets up: each once")
    equal(s.down, list(range(s.number)), "packets down: each once, in order")
    g.expect_drops(name)
    g.forget_clients()


def gateway_answers():
    lossless("resp", True, 0)


def gateway_answers_a_slow_client():
    lossless("resp-slow", True, 300)


def gateway_initiates():
    lossless("init", False, 0)


def gateway_initiates_to_a_slow_client():
    lossless("init-slow", False, 900)


def while_queues_change():
    """The NIC moves the client to another queue every 70 s (with one queue: nothing changes): its home
    follows at the next handshake."""
    before, homes = g.route, set()
    g.route = lambda frame: g.now // (70 * S) % g.queues
    try:
        for name, initiator in (("move-a", True), ("move-b", False)):
            s = Stream(name, initiator, 100)
            if initiator:
                s.session(s.c.handshake())
            for _ in range(8):
                s.go(60)
                homes.add(g.peer_info(s.c)["worker"])
            equal(sorted(s.up), s.sent_up, "packets up: each once")
            equal(sorted(s.down), list(range(s.number)), "packets down: each once")
            g.expect_drops(name)
            g.forget_clients()
    finally:
        g.route = before
    if g.queues > 1:
        equal(homes, {0, 1}, "homes")


run(gateway_answers, gateway_answers_a_slow_client, gateway_initiates, gateway_initiates_to_a_slow_client,
    while_queues_change, last=g.close)
