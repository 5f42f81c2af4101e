# SPDX-License-Identifier: BSD-3-Clause
"""A host on a VLAN, made of frames: answers ARP, ND and echo with a tag. This kernel need not have 802.1Q.

vlan_host.py DEV VLAN IPV4 IPV6
vlan_host.py DEV send VLAN SOURCE DESTINATION MAC	one UDP datagram; VLAN 0 is untagged
"""

import logging
import sys

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
from scapy.all import (ARP, ICMP, IP, UDP, Dot1Q, Ether, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NA,  # noqa: E402
                       ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, IPv6, conf, get_if_hwaddr, sendp)


def answer(f, vlan, mac, ip4, ip6):
    head = Ether(src=mac, dst=f.src) / Dot1Q(vlan=vlan)
    if ARP in f and f[ARP].op == 1 and f[ARP].pdst == ip4:
        return head / ARP(op=2, hwsrc=mac, psrc=ip4, hwdst=f[ARP].hwsrc, pdst=f[ARP].psrc)
    if IP in f and f[IP].dst == ip4 and ICMP in f and f[ICMP].type == 8:
        return head / IP(src=ip4, dst=f[IP].src) / ICMP(type=0, id=f[ICMP].id, seq=f[ICMP].seq) / f[ICMP].payload
    if ICMPv6ND_NS in f and f[ICMPv6ND_NS].tgt == ip6:
        return head / IPv6(src=ip6, dst=f[IPv6].src, hlim=255) / ICMPv6ND_NA(tgt=ip6, R=0, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=mac)
    if ICMPv6EchoRequest in f and f[IPv6].dst == ip6:
        e = f[ICMPv6EchoRequest]
        return head / IPv6(src=ip6, dst=f[IPv6].src) / ICMPv6EchoReply(id=e.id, seq=e.seq, data=e.data)
    return None


def main(argv):
    dev = argv[0]
    mac = get_if_hwaddr(dev)
    if argv[1] == "send":
        tag = Dot1Q(vlan=int(argv[2])) if argv[2] != "0" else None
        ip = IP(src=argv[3], dst=argv[4]) / UDP(sport=7, dport=7) / b"x"
        frame = Ether(src=mac, dst=argv[5])
        sendp(frame / tag / ip if tag else frame / ip, iface=dev, verbose=False)
        return
    vlan, ip4, ip6 = int(argv[1]), argv[2], argv[3]
    s = conf.L2socket(iface=dev)
    print("ready", flush=True)
    while True:
        f = s.recv()
        if f is None or f.src == mac or Dot1Q not in f or f[Dot1Q].vlan != vlan:
            continue
        a = answer(f, vlan, mac, ip4, ip6)
        if a is not None:
            s.send(a)


main(sys.argv[1:])
