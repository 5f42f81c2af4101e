# SPDX-License-Identifier: BSD-3-Clause
"""Frames and packets by hand, quick enough for streams of thousands: Ethernet, VLAN, ARP, ND, IPv4,
IPv6, UDP, TCP, ICMP. Whatever is given explicitly is taken as it is, so that it may be wrong."""
import socket
import struct

ARP, IP4, IP6, VLAN = 0x0806, 0x0800, 0x86DD, 0x8100
ICMP, TCP, UDP, ICMP6, FRAGMENT = 1, 6, 17, 58, 44
BROADCAST = b"\xff" * 6


def addr(text):
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def text_of(b):
    return socket.inet_ntop(socket.AF_INET if len(b) == 4 else socket.AF_INET6, b)


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def csum(data):
    """RFC 1071. (Little-endian words give the sum with its bytes swapped.)"""
    if len(data) & 1:
        data += b"\0"
    s = sum(struct.unpack("<%dH" % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return struct.pack("<H", ~s & 0xFFFF)


def pseudo(src, dst, proto, length):
    if len(src) == 4:
        return src + dst + struct.pack(">BBH", 0, proto, length)
    return src + dst + struct.pack(">II", length, proto)


# --- layer 2 -------------------------------------------------------------------------------------

def eth(dst, src, etype, payload, vlan=0):
    tag = struct.pack(">HH", VLAN, vlan) if vlan else b""
    return dst + src + tag + struct.pack(">H", etype) + payload


def ip_frame(dst, src, packet, vlan=0):
    return eth(dst, src, IP6 if packet[0] >> 4 == 6 else IP4, packet, vlan)


def arp(op, smac, sip, tmac, tip):
    return struct.pack(">HHBBH", 1, IP4, 6, 4, op) + smac + addr(sip) + tmac + addr(tip)


def nd(kind, src, dst, target, mac_, flags=0, hop=255):
    """NS (135) with a source, or NA (136) with a target link-layer address."""
    body = struct.pack(">BBHI", kind, 0, 0, flags) + addr(target)
    if mac_ is not None:
        body += bytes([1 if kind == 135 else 2, 1]) + mac_
    return ip6(src, dst, ICMP6, l4_csum(addr(src), addr(dst), ICMP6, body, 2), hop=hop)


def solicited_node(target):
    return text_of(addr("ff02::1:ff00:0")[:13] + addr(target)[13:])


# --- layer 3 -------------------------------------------------------------------------------------

def ip4(src, dst, proto, payload, ttl=64, tos=0, ident=0, df=False, mf=False, off=0, options=b"",
        total=None, check=None, ihl=None, version=4):
    hlen = 20 + len(options)
    ihl = hlen // 4 if ihl is None else ihl
    total = hlen + len(payload) if total is None else total
    frag = df << 14 | mf << 13 | off // 8
    h = struct.pack(">BBHHHBBH", version << 4 | ihl, tos, total, ident, frag, ttl, proto, 0)
    h += addr(src) + addr(dst) + options
    check = csum(h) if check is None else check
    return h[:10] + check + h[12:] + payload


def ip6(src, dst, proto, payload, hop=64, tos=0, flow=0, length=None, version=6):
    length = len(payload) if length is None else length
    return (struct.pack(">IHBB", version << 28 | tos << 20 | flow, length, proto, hop)
            + addr(src) + addr(dst) + payload)


def ip(src, dst, proto, payload, ttl=64, tos=0, **kw):
    if ":" in src:
        return ip6(src, dst, proto, payload, hop=ttl, tos=tos, **kw)
    return ip4(src, dst, proto, payload, ttl=ttl, tos=tos, **kw)


def l4_csum(src, dst, proto, seg, at):
    """Fill the checksum field at `at` of a segment."""
    seg = seg[:at] + b"\0\0" + seg[at + 2:]
    head = b"" if proto == ICMP else pseudo(src, dst, proto, len(seg))
    c = csum(head + seg)
    if proto == UDP and c == b"\0\0":
        c = b"\xff\xff"
    return seg[:at] + c + seg[at + 2:]


def udp(src, dst, sport, dport, payload, check=None, length=None, **kw):
    """A whole IP packet. check: None computes it, bytes are taken."""
    length = 8 + len(payload) if length is None else length
    seg = struct.pack(">HHHH", sport, dport, length, 0) + payload
    if check is None:
        seg = l4_csum(addr(src), addr(dst), UDP, seg, 6)
    else:
        seg = seg[:6] + check + seg[8:]
    return ip(src, dst, UDP, seg, **kw)


def tcp_syn(src, dst, sport, dport, mss=None, flags=2, **kw):
    options = struct.pack(">BBH", 2, 4, mss) if mss is not None else b""
    seg = struct.pack(">HHIIBBHHH", sport, dport, 1, 0, (5 + len(options) // 4) << 4, flags, 65535, 0, 0)
    return ip(src, dst, TCP, l4_csum(addr(src), addr(dst), TCP, seg + options, 16), **kw)


def echo4(src, dst, seq, data=b"sluice", kind=8, ident=1, **kw):
    body = l4_csum(b"", b"", ICMP, struct.pack(">BBHHH", kind, 0, 0, ident, seq) + data, 2)
    return ip4(src, dst, ICMP, body, **kw)


def echo6(src, dst, seq, data=b"sluice", kind=128, ident=1, **kw):
    body = struct.pack(">BBHHH", kind, 0, 0, ident, seq) + data
    return ip6(src, dst, ICMP6, l4_csum(addr(src), addr(dst), ICMP6, body, 2), **kw)


def echo(src, dst, seq, **kw):
    return echo6(src, dst, seq, **kw) if ":" in src else echo4(src, dst, seq, **kw)


def fragments4(packet, size):
    """Cut an IPv4 packet into fragments of `size` bytes of payload."""
    h, body = packet[:20], packet[20:]
    out = []
    for at in range(0, len(body), size):
        piece = body[at:at + size]
        more = at + size < len(body)
        head = h[:2] + struct.pack(">H", 20 + len(piece)) + h[4:6]
        head += struct.pack(">H", more << 13 | at // 8) + h[8:10] + b"\0\0" + h[12:]
        out.append(head[:10] + csum(head) + head[12:] + piece)
    return out


def fragments6(packet, size, ident=1):
    h, body, proto = packet[:40], packet[40:], packet[6]
    out = []
    for at in range(0, len(body), size):
        piece = body[at:at + size]
        more = at + size < len(body)
        fh = struct.pack(">BBHI", proto, 0, at | more, ident)
        out.append(h[:4] + struct.pack(">HB", 8 + len(piece), FRAGMENT) + h[7:] + fh + piece)
    return out


# --- reading -------------------------------------------------------------------------------------

class Ip:
    """What stands in an IP packet; `ok` if its checksums are right (UDP zero over IPv4 is)."""

    def __init__(self, b):
        self.bytes = b
        self.version = b[0] >> 4
        self.df = self.mf = False
        self.off = 0
        if self.version == 4:
            hlen = (b[0] & 15) * 4
            self.tos, self.ttl, self.proto = b[1], b[8], b[9]
            self.total = struct.unpack_from(">H", b, 2)[0]
            frag = struct.unpack_from(">H", b, 6)[0]
            self.df, self.mf, self.off = bool(frag & 0x4000), bool(frag & 0x2000), (frag & 0x1FFF) * 8
            self.ident = struct.unpack_from(">H", b, 4)[0]
            src, dst = b[12:16], b[16:20]
            self.ok = csum(b[:hlen]) == b"\0\0"
        elif self.version == 6:
            hlen = 40
            self.tos = struct.unpack_from(">H", b)[0] >> 4 & 0xFF
            self.ttl, self.proto = b[7], b[6]
            self.total = 40 + struct.unpack_from(">H", b, 4)[0]
            src, dst = b[8:24], b[24:40]
            self.ok = True
        else:
            raise ValueError("no IP packet: %s" % b[:20].hex())
        self.src, self.dst = text_of(src), text_of(dst)
        self.payload = b[hlen:self.total]
        self.padding = b[self.total:]
        self.ok = self.ok and len(self.payload) == self.total - hlen
        if not (self.off or self.mf):
            self._l4(src, dst)

    def _l4(self, src, dst):
        p = self.payload
        if self.proto == UDP:
            self.sport, self.dport, self.udp_len = struct.unpack_from(">HHH", p)
            self.data = p[8:self.udp_len]
            self.zero_csum = p[6:8] == b"\0\0"
            if self.zero_csum:
                self.ok = self.ok and self.version == 4
                return
        elif self.proto == TCP:
            self.sport, self.dport = struct.unpack_from(">HH", p)
        elif self.proto == ICMP:
            self.ok = self.ok and csum(p) == b"\0\0"
            return
        elif self.proto != ICMP6:
            return
        self.ok = self.ok and csum(pseudo(src, dst, self.proto, len(p)) + p) == b"\0\0"


def parse_ip(b):
    return Ip(b)


class Frame:
    """A frame taken apart: kind is arp, ns, na, wg1..wg4, udp, ip4, ip6 or other."""

    def __init__(self, port, queue, b, at_ns=0):
        self.port, self.queue, self.bytes, self.at_ns = port, queue, b, at_ns
        self.dst_mac, self.src_mac = b[:6], b[6:12]
        etype, at, self.vlan = struct.unpack_from(">H", b, 12)[0], 14, 0
        if etype == VLAN:
            self.vlan, etype = struct.unpack_from(">HH", b, 14)
            at = 18
        self.l3 = b[at:]
        self.ip = None
        self.kind = "other"
        if etype == ARP:
            self.kind = "arp"
            self.op = struct.unpack_from(">H", self.l3, 6)[0]
            self.sender, self.target = text_of(self.l3[14:18]), text_of(self.l3[24:28])
        elif etype in (IP4, IP6):
            self.ip = Ip(self.l3)
            self.kind = "ip%d" % self.ip.version
            p = self.ip.payload
            if self.ip.proto == ICMP6 and p[0] in (135, 136) and not self.ip.off:
                self.kind = "ns" if p[0] == 135 else "na"
                self.target = text_of(p[8:24])

    @property
    def wg(self):
        """The UDP payload."""
        return self.ip.data

    def __repr__(self):
        i = self.ip
        if i is None:
            return "<%s port %d>" % (self.kind, self.port)
        return "<%s port %d %s -> %s proto %d len %d>" % (self.kind, self.port, i.src, i.dst, i.proto, i.total)
