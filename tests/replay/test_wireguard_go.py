#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The Python peer against a stock wireguard-go, in both roles, in a network namespace of its own
that ends with this process. Skipped (77) without root, unshare or wireguard-go. This is the one
script here with a real clock: it tests the peer, not the gateway."""
import base64
import os
import shutil
import socket
import subprocess
import sys
import time

import wgpeer as wg
from check import check, equal, run
from packets import echo4, parse_ip

NAME = "slp%d" % os.getpid()
SERVER = wg.key_of("stock wireguard")
PORT = 51999


def sh(*args, data=None):
    subprocess.run(args, check=True, input=data, stdout=subprocess.DEVNULL)


def b64(b):
    return base64.b64encode(b).decode()


def enter():
    """Come back in a new network namespace."""
    tools = ("unshare", "ip", "wg", "wireguard-go")
    if os.environ.get("IN_NETNS"):
        return
    if os.geteuid() != 0 or not all(shutil.which(t) for t in tools):
        sys.exit(77)
    if subprocess.run(["unshare", "-n", "true"], stderr=subprocess.DEVNULL).returncode:
        sys.exit(77)
    os.environ["IN_NETNS"] = "1"
    os.execvp("unshare", ["unshare", "-n", sys.executable, os.path.abspath(__file__)])


class Stock:
    """wireguard-go with one peer of ours."""

    def __init__(self, peer, port):
        sh("ip", "link", "set", "lo", "up")
        self.proc = subprocess.Popen(["wireguard-go", "-f", NAME], stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
        path = "/var/run/wireguard/%s.sock" % NAME
        for _ in range(100):
            if os.path.exists(path):
                break
            time.sleep(0.05)
        sh("wg", "set", NAME, "listen-port", str(PORT), "private-key", self.path(b64(SERVER)),
           "peer", b64(peer.pub), "preshared-key", self.path(b64(peer.psk)),
           "endpoint", "127.0.0.1:%d" % port, "allowed-ips", "10.9.0.2/32")
        sh("ip", "addr", "add", "10.9.0.1/24", "dev", NAME)
        sh("ip", "link", "set", NAME, "up")

    @staticmethod
    def path(text):
        """A file in memory that holds the text."""
        fd = os.memfd_create("key")
        os.write(fd, text.encode())
        return "/proc/%d/fd/%d" % (os.getpid(), fd)

    def end(self):
        self.proc.terminate()
        self.proc.wait()


def next_of(sock, kind):
    while True:
        msg, source = sock.recvfrom(2048)
        if msg[0] == kind:
            return msg, source


def both_roles():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(6)
    peer = wg.Peer("python", wg.public(SERVER), wg.blake2s(b"psk"), time.time_ns())
    stock = Stock(peer, sock.getsockname()[1])
    try:
        to = ("127.0.0.1", PORT)
        # as initiator
        sock.sendto(peer.initiation(), to)
        kp = peer.on_response(next_of(sock, wg.RESPONSE)[0])
        sock.sendto(kp.seal(echo4("10.9.0.2", "10.9.0.1", 7)), to)
        _, _, text = peer.open(next_of(sock, wg.DATA)[0])
        ip = parse_ip(text)
        equal((ip.src, ip.dst, ip.proto, ip.payload[0]), ("10.9.0.1", "10.9.0.2", 1, 0),
              "echo reply through the tunnel")
        # as responder: the kernel side wants to talk after its keys went
        sh("wg", "set", NAME, "peer", b64(peer.pub), "remove")
        sh("wg", "set", NAME, "peer", b64(peer.pub), "preshared-key", stock.path(b64(peer.psk)),
           "endpoint", "127.0.0.1:%d" % sock.getsockname()[1], "allowed-ips", "10.9.0.2/32")
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.sendto(b"question", ("10.9.0.2", 9))
        msg, source = next_of(sock, wg.INITIATION)
        out, kp = peer.response(peer.on_initiation(msg))
        sock.sendto(out, source)
        _, counter, text = peer.open(next_of(sock, wg.DATA)[0])
        ip = parse_ip(text)
        equal((ip.src, ip.dst, ip.payload[8:16]), ("10.9.0.1", "10.9.0.2", b"question"),
              "the parked datagram")
        check(counter <= 1, "a new counter")
    finally:
        stock.end()


enter()
run(both_roles)
