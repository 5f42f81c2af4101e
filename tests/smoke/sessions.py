# SPDX-License-Identifier: BSD-3-Clause
"""sessions.py SOCKET INTERFACE PUBLIC-KEY ADDRESS N: add N peers and shake hands as each of them, all from one address."""

import base64
import contextlib
import json
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "replay"))
import wgpeer as wg

rpc, iface, key, host, n = sys.argv[1:6]
gateway = base64.b64decode(key)
control = socket.socket(socket.AF_UNIX)
control.connect(rpc)
answers = control.makefile()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("", 0))
udp.settimeout(1)


def add(peer, i):
    params = {"interface": iface, "name": "s%u" % i, "public_key": base64.b64encode(peer.pub).decode(),
              "allowed_ips": ["10.7.%u.%u/32" % (100 + i // 200, 1 + i % 200)]}
    control.sendall(json.dumps({"jsonrpc": "2.0", "id": i, "method": "peer.add", "params": params}).encode() + b"\n")
    answer = json.loads(answers.readline())
    if "error" in answer:
        sys.exit("peer.add: %s" % answer["error"])


def answered(peer):
    """An answer to the last initiation: True a response, False a cookie for the next one. Those to earlier ones are passed over."""
    while True:
        msg = udp.recv(2048)
        with contextlib.suppress(wg.ProtocolError):
            if msg[0] == 3:
                peer.on_cookie(msg)
                return False
            peer.on_response(msg)
            return True


def shake(peer):
    for _ in range(20):  # a busy machine may lose some
        udp.sendto(peer.initiation(), (host, 51820))
        with contextlib.suppress(socket.timeout):
            if answered(peer):
                return True
            time.sleep(0.05)  # with a cookie an address has 20 initiations a second
    return False


failed = 0
for i in range(int(n)):
    peer = wg.Peer("session %u" % i, gateway)
    add(peer, i)
    failed += not shake(peer)
if failed:
    sys.exit("%u of %s handshakes failed" % (failed, n))
