# SPDX-License-Identifier: BSD-3-Clause
"""What a stranger may send to the outer addresses of a gateway: five of each kind to each address."""

import os
import socket
import struct
import sys

KINDS = (
    b"hello",  # not WireGuard
    b"",
    struct.pack("<I", 9) + bytes(200),
    struct.pack("<I", 1) + os.urandom(144),  # an initiation with a wrong mac1
    struct.pack("<I", 1) + os.urandom(100),  # of a wrong length
    struct.pack("<I", 2) + os.urandom(88),  # a response that nobody waits for
    struct.pack("<I", 3) + os.urandom(60),  # a cookie reply, likewise
    struct.pack("<I", 4) + os.urandom(60),  # data for a key that does not exist
    struct.pack("<I", 4) + os.urandom(20),  # data that is too short
)

for host in sys.argv[1:]:
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    for data in KINDS:
        for _ in range(5):
            s.sendto(data, (host, 51820))
    for _ in range(5):
        s.sendto(b"x", (host, 51999))  # where nobody listens
    t = socket.socket(s.family, socket.SOCK_STREAM)
    t.setblocking(False)
    try:
        t.connect((host, 51820))
    except BlockingIOError:
        pass
