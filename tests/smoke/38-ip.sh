#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# IP as a router does it: TTL and what ends with it, DSCP kept inside and hidden outside, ECN after RFC 6040, destinations
# that do not exist.
. "$(dirname "$0")/lib.sh"

smoke_start alice
reach alice 10.20.0.10
reach alice fd00:20::10

# says WHAT PATTERN COMMAND...
says() {
	local what=$1 pattern=$2 out
	shift 2
	out=$("$@" 2>&1)
	grep -qiE "$pattern" <<<"$out" || fail "$what: no \"$pattern\": $out"
}
step "TTL"
says "ttl 1 to the server" 'From 10.7.0.1 .*Time to live exceeded' in_client alice ping -c 1 -W 2 -t 1 10.20.0.10
says "hop limit 1 to the server" 'From fd00:7::1 .*Time exceeded' in_client alice ping -c 1 -W 2 -t 1 fd00:20::10
says "ttl 1 to the client" 'From 10.20.0.1 .*Time to live exceeded' in_server ping -c 1 -W 2 -t 1 10.7.0.2
says "hop limit 1 to the client" 'From fd00:20::1 .*Time exceeded' in_server ping -c 1 -W 2 -t 1 fd00:7::2
says "one hop less" 'ttl=63' in_client alice ping -c 1 -W 2 10.20.0.10
equal "packets that ended with their TTL" "$(drop ttl)" 4

step "destinations that do not exist"
in_client alice ip route add 10.99.0.0/16 dev "${LAB_ID}2"
wg set "${LAB_ID}2" peer "$(lab_pub gateway)" allowed-ips 10.20.0.0/16,10.7.0.0/16,10.99.0.0/16,fd00:20::/64,fd00:7::/64
says "no route" 'From 10.7.0.1 .*(Net|Host) Unreachable' in_client alice ping -c 1 -W 2 10.99.0.1
says "nobody there" 'From 10.7.0.1 .*Host Unreachable' in_client alice ping -c 5 -W 2 10.20.0.200
at_least "without a route" "$(drop no_route)" 1

step "DSCP and ECN of what the gateway seals"
# tos_of FILTER: the TOS values that tcpdump shows
tos_of() { capture_stop | sed -n 's/^.* IP (tos \(0x[0-9a-f]*\).*/\1/p' | sort -u | tr '\n' ' '; }
capture "$NET" c2 'udp src port 51820'
server_ping_all 10.7.0.2 3 -Q 0xba # EF, ECT(0)
equal "outer TOS: DSCP 0, ECN copied" "$(tos_of)" "0x2 "
capture "$LAB_ID-alice" "${LAB_ID}2" 'icmp[icmptype] = icmp-echo'
server_ping_all 10.7.0.2 3 -Q 0xba
equal "inner TOS at the client" "$(tos_of)" "0xba "
capture "$NET" c2 'udp src port 51820'
server_ping_all 10.7.0.2 3 -Q 0xb8
equal "outer TOS of what is not ECN-capable" "$(tos_of)" "0x0 "
capture "$SRV" eth0 'icmp[icmptype] = icmp-echo'
ping_all alice 10.20.0.10 3 -Q 0xb8
equal "inner TOS at the server" "$(tos_of)" "0xb8 "

step "congestion on the way to the gateway is told inside, or ends what cannot say so"
in_client alice nft 'add table ip m; add chain ip m o { type filter hook output priority 0; }; add rule ip m o udp dport 51820 ip ecn set ce' ||
	skip "no nft here"
capture "$SRV" eth0 'icmp[icmptype] = icmp-echo'
ping_all alice 10.20.0.10 3 -Q 0x02
equal "inner TOS at the server: CE" "$(tos_of)" "0x3 "
ping_none alice 10.20.0.10 2 -Q 0x00
equal "CE on what is not ECN-capable" "$(drop ecn_ce)" 2
in_client alice nft 'delete table ip m'
ping_all alice 10.20.0.10

step "handshakes are marked as such"
capture "$NET" c2 'udp src port 51820'
client_forgets alice 2
ping_all alice 10.20.0.10 1
equal "outer TOS of a response and of data" "$(tos_of)" "0x0 0x88 "
no_fatal_drops
