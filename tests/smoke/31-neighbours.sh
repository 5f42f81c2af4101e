#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The server gets another MAC address; the server goes away: its clients are told, and it comes back.
. "$(dirname "$0")/lib.sh"

smoke_start alice
reach alice 10.20.0.10
reach alice fd00:20::10

step "another MAC address, announced"
ip netns exec "$SRV" sysctl -q -w net.ipv4.conf.eth0.arp_notify=1 net.ipv6.conf.eth0.ndisc_notify=1
ip -n "$SRV" link set eth0 address 02:00:00:00:20:77
reach alice 10.20.0.10 3
reach alice fd00:20::10 3
equal "neighbour" "$(rpc neighbour.list | jq -r '.neighbours[] | select(.ip == "10.20.0.10").mac')" 02:00:00:00:20:77

step "another MAC address, unannounced: found out by probing"
ip netns exec "$SRV" sysctl -q -w net.ipv4.conf.eth0.arp_notify=0 net.ipv6.conf.eth0.ndisc_notify=0
ip -n "$SRV" link set eth0 address 02:00:00:00:20:78
start=$(now_ms)
reach alice 10.20.0.10 60
echo "   IPv4 after $(($(now_ms) - start)) ms"
reach alice fd00:20::10 60
echo "   IPv6 after $(($(now_ms) - start)) ms"

step "the server is gone: clients are told"
ip -n "$SRV" link set eth0 down
# as the table forgets it by itself after about 40 s
for a in 10.20.0.10 fd00:20::10; do rpc neighbour.remove "{\"port\":\"lan\",\"ip\":\"$a\"}" >/dev/null || fail "neighbour.remove $a"; done
out=
for i in {1..60}; do
	out=$(in_client alice ping -c 1 -W 1 10.20.0.10 2>&1)
	grep -q 'From 10.7.0.1.*Unreachable' <<<"$out" && break
done
grep -q 'From 10.7.0.1.*Unreachable' <<<"$out" || fail "no 'unreachable' from the gateway: $out"
out=$(in_client alice ping -c 4 -i 1 -W 1 fd00:20::10 2>&1)
for i in {1..60}; do
	grep -qi 'From fd00:7::1.*unreachable' <<<"$out" && break
	out=$(in_client alice ping -c 1 -W 1 fd00:20::10 2>&1)
done
grep -qi 'From fd00:7::1.*unreachable' <<<"$out" || fail "no ICMPv6 'unreachable' from the gateway: $out"
at_least "packets to a dead neighbour" "$(drop neigh_failed)" 1

step "and back"
ip -n "$SRV" link set eth0 up
lab_addr "$SRV" eth0 fd00:20::10/64 2>/dev/null
ip -n "$SRV" route replace 10.7.0.0/16 via 10.20.0.1
ip -n "$SRV" -6 route replace fd00:7::/64 via fd00:20::1
reach alice 10.20.0.10 10
reach alice fd00:20::10 10
no_fatal_drops
