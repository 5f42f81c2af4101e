#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The Python peer against published vectors, against itself, and against scapy's reading of the
same bytes: what tests the gateway must be right first."""
import logging
import struct

import packets as pk
import wgpeer as wg
from check import check, equal, raises, run

logging.getLogger("scapy").setLevel(logging.ERROR)

# Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s of the cacophony vectors
NOISE = {
    "prologue": "4a6f686e2047616c74",
    "psk": "54686973206973206d7920417573747269616e20706572737065637469766521",
    "init_static": "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
    "init_eph": "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
    "resp_static": "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
    "resp_eph": "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
    "hash": "f5191b875290abcd41347ac3622d9679688a7e980229cb937ef748336cfde0e5",
    "messages": [
        ("4c756477696720766f6e204d69736573",
         "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944001e21de9f98ddd8e2ad57527207"
         "feb56253c9c94a9e496782ecfcb2a75fbcaf1b52948cc48daefe660c62119ab5000980c84831215f2441eba61654"
         "8e832985464cf17e51ee93109008399a21f7e13f"),
        ("4d757272617920526f746862617264",
         "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843cb765f2caef0751b8f007572dab0"
         "322217755c0632f365717edbf34d33e87a"),
        ("462e20412e20486179656b", "8153ca9833bc3c1b91a7e66e5f4d4f5b59bf9e64c2f20d15f0bba7"),
        ("4361726c204d656e676572", "07af0c9c86e1b4e80f36b04ff7688d51141af3debd0332f0a705ef"),
        ("4a65616e2d426170746973746520536179",
         "6ab1467c0448cc78394494abaaf23afce0e234315d6e2624dcbfa8a21c1c4d073d"),
        ("457567656e2042f6686d20766f6e2042617765726b",
         "dfc346c0d2296ae6cf1acf6f12b8456a1dba228cf8d8b774aacf1c47fc53aa80ebc7a4c292"),
    ],
}


def noise_vector():
    v = {k: bytes.fromhex(x) for k, x in NOISE.items() if k != "messages"}
    payload, wire = zip(*((bytes.fromhex(p), bytes.fromhex(c)) for p, c in NOISE["messages"]))
    a, b = wg.Symmetric(v["prologue"]), wg.Symmetric(v["prologue"])
    init_pub, resp_pub = wg.public(v["init_static"]), wg.public(v["resp_static"])

    parts = wg.write_initiation(a, v["init_static"], resp_pub, v["init_eph"], payload[0])
    equal(b"".join(parts), wire[0], "first message")
    equal(wg.read_initiation(b, v["resp_static"], wire[0][:32], wire[0][32:80], wire[0][80:]),
          (init_pub, payload[0]), "first message read")
    parts = wg.write_response(b, v["resp_eph"], wire[0][:32], init_pub, v["psk"], payload[1])
    equal(b"".join(parts), wire[1], "second message")
    equal(wg.read_response(a, v["init_static"], v["init_eph"], wire[1][:32], v["psk"], wire[1][32:]),
          payload[1], "second message read")
    equal(a.h, v["hash"], "hash of the initiator")
    equal(b.h, v["hash"], "hash of the responder")
    keys = a.split()
    equal(keys, b.split(), "keys")
    for i in range(2, 6):
        equal(wg.seal(keys[i % 2], (i - 2) // 2, payload[i]), wire[i], "transport message %d" % i)


def xchacha():
    # draft-irtf-cfrg-xchacha 2.2.1 and A.3.1
    key = bytes(range(32))
    equal(wg.hchacha20(key, bytes.fromhex("000000090000004a0000000031415927")),
          bytes.fromhex("82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"), "hchacha20")
    text = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future,"
            b" sunscreen would be it.")
    aad = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    key = bytes(range(0x80, 0xA0))
    iv = bytes(range(0x40, 0x58))
    out = wg.xseal(key, iv, text, aad)
    equal(out[-16:].hex(), "c0875924c1c7987947deafd8780acf49", "tag of the draft's AEAD vector")
    equal(out[:16].hex(), "bd6d179d3e83d43b9576579493c0e939", "text of the draft's AEAD vector")
    equal(wg.xunseal(key, iv, out, aad), text, "opened again")
    raises(wg.ProtocolError, wg.xunseal, key, iv, out, b"")


def pair(psk=bytes(32)):
    a = wg.Peer("a", wg.public(wg.key_of("b")), psk)
    b = wg.Peer("b", wg.public(wg.key_of("a")), psk)
    return a, b


def shake(a, b):
    msg, kb = b.response(b.on_initiation(a.initiation()))
    return a.on_response(msg), kb


def itself():
    for psk in (bytes(32), b"p" * 32):
        a, b = pair(psk)
        ka, kb = shake(a, b)
        equal((ka.send_key, ka.recv_key), (kb.recv_key, kb.send_key), "keys mirror")
        equal((ka.local, ka.remote), (kb.remote, kb.local), "indexes mirror")
        equal(kb.open(ka.seal(b"hello")), (0, b"hello".ljust(16, b"\0")), "first packet")
        equal(ka.open(kb.seal(b"", counter=77)), (77, b""), "keepalive")
        again = ka.seal(b"x")
        kb.open(again)
        raises(wg.ProtocolError, kb.open, again)
        raises(wg.ProtocolError, kb.open, again[:-1] + bytes([again[-1] ^ 1]))


def refusals():
    a, b = pair()
    raises(wg.ProtocolError, b.on_initiation, a.initiation(mac1=bytes(16)))
    first = a.initiation()
    b.on_initiation(first)
    raises(wg.ProtocolError, b.on_initiation, first)
    c = wg.Peer("c", b.pub)
    raises(wg.ProtocolError, b.on_initiation, c.initiation())
    a, b = pair()
    b.psk = b"q" * 32
    raises(wg.ProtocolError, shake, a, b)


def cookies():
    a, b = pair()
    source = bytes([192, 0, 2, 1]) + struct.pack(">H", 5000)
    msg = a.initiation()
    check(not b.mac2_ok(msg, source), "no cookie yet")
    reply = b.cookie_reply(msg, source)
    equal(a.on_cookie(reply), struct.unpack_from("<I", msg, 4)[0], "index of the reply")
    msg = a.initiation()
    check(b.mac2_ok(msg, source), "mac2 with the cookie")
    check(not b.mac2_ok(msg, source[:-1] + b"\0"), "another port")
    raises(wg.ProtocolError, a.on_cookie, reply)  # that one answered an older mac1


def scapy_reads_it():
    from scapy.contrib.wireguard import (Wireguard, WireguardCookieReply, WireguardInitiation,
                                         WireguardResponse, WireguardTransport)
    a, b = pair()
    init = a.initiation(index=0x01020304)
    p = Wireguard(init)
    equal(bytes(p), init, "scapy writes the same bytes")
    p = p[WireguardInitiation]
    equal(p.sender_index, 0x01020304, "sender")
    equal(bytes(p.mac1), init[116:132], "mac1")
    msg, kb = b.response(b.on_initiation(init), index=7)
    p = Wireguard(msg)[WireguardResponse]
    equal((p.sender_index, p.receiver_index), (7, 0x01020304), "indexes of the response")
    a.on_response(msg)
    p = Wireguard(a.current.seal(b"x", counter=5))[WireguardTransport]
    equal((p.receiver_index, p.counter), (7, 5), "transport header")
    p = Wireguard(b.cookie_reply(init, b"\0" * 6))[WireguardCookieReply]
    equal(p.receiver_index, 0x01020304, "cookie reply")


def tai64n():
    equal(wg.tai64n(0).hex(), "400000000000000a00000000", "1970 with the paper's offset of 10 s")
    equal(wg.tai64n_ns(wg.tai64n(1234567890123456789)), 1234567890123456789, "and back")
    check(wg.tai64n(10**9 - 1) < wg.tai64n(10**9), "labels sort as times")


def packets_as_scapy_makes_them():
    """Lengths and checksums of the packets made by hand, computed anew by scapy."""
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6

    v4, v6 = ("10.7.0.2", "10.20.0.10"), ("fd00:7::2", "fd00:20::10")
    made = [pk.echo4(*v4, 7), pk.echo6(*v6, 7), pk.nd(135, v6[0], v6[1], v6[1], b"\2" * 6), pk.nd(136, v6[0], v6[1], v6[0], None)]
    for ends in (v4, v6):
        made += [pk.udp(*ends, 1, 65535, b"x" * n, ttl=9, tos=0xB9) for n in (0, 1, 2, 77)]
        made += [pk.tcp_syn(*ends, 1000, 80, mss) for mss in (None, 1460)]
    made += pk.fragments4(pk.udp(*v4, 1, 2, bytes(300)), 64)
    for b in made:
        kind = IPv6 if b[0] >> 4 == 6 else IP
        p = kind(b)
        for layer in p.layers():
            for field in ("chksum", "cksum", "len", "plen"):
                if field in p[layer].fields and not (kind is IP and (p.frag or p.flags.MF) and layer is not IP):
                    p[layer].delfieldval(field)
        equal(bytes(p), b, "%s" % p.summary())
        check(pk.Ip(b).ok, "and read as right")


run(noise_vector, xchacha, itself, refusals, cookies, scapy_reads_it, packets_as_scapy_makes_them,
    tai64n)
