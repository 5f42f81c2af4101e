#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The edges of the tunnel's MTU, both ways, with and without DF; padding and fragments.
. "$(dirname "$0")/lib.sh"

smoke_start alice
reach alice 10.20.0.10
step "1420 bytes inside fit, with DF, both ways"
ping_all alice 10.20.0.10 3 -M do -s 1392
ping_all alice fd00:20::10 3 -M do -s 1372
server_ping_all 10.7.0.2 3 -M do -s 1392
server_ping_all fd00:7::2 3 -M do -s 1372

step "one byte more: ICMP says how much fits"
# says SIZE ADDRESS WHAT
says() {
	out=$(in_server ping -c 1 -W 2 -M do -s "$1" "$2" 2>&1)
	grep -q "$3" <<<"$out"
}
lab_wait 10 says 1393 10.7.0.2 'From 10.20.0.1.*[Ff]rag needed.*mtu = 1420' || fail "no 'fragmentation needed' with 1420: $out"
lab_wait 10 says 1373 fd00:7::2 'From fd00:20::1.*[Pp]acket too big.*mtu=1420' || fail "no 'packet too big' with 1420: $out"
at_least "packets dropped for the MTU" "$(drop mtu)" 2
in_server ip route flush cache
in_server ip -6 route flush cache

# fragments SIZE...: pings of these sizes without DF, both ways
fragments() {
	local size
	for size in "$@"; do fragment_pings "$size"; done
}
fragment_pings() {
	local size=$1
	server_ping_all 10.7.0.2 3 -M dont -s $size
	ping_all alice 10.20.0.10 3 -M dont -s $size
	# the first answer may be too big, which teaches the server the path's MTU
	in_client alice ping -c 1 -W 1 -s $size fd00:20::10 >/dev/null
	ping_all alice fd00:20::10 3 -s $size
}
step "without DF: fragments, both ways"
fragments 1393 1472 1900
in_server ping -6 -c 2 -W 2 -s 4000 fd00:7::2 >/dev/null 2>&1
server_ping_all fd00:7::2 3 -s 4000

step "padding never makes a packet larger than the MTU allows"
capture "$NET" c2 'udp port 51820'
for size in 1379 1385 1391 1392; do ping_all alice 10.20.0.10 1 -s $size; done
largest=$(capture_stop | sed -n 's/.*length \([0-9]*\))$/\1/p' | sort -n | tail -n 1)
equal "largest outer packet" "$largest" $((1420 + 32 + 28))

step "a client with a larger MTU: its outer fragments are joined, TCP keeps to what fits"
ip -n "$LAB_ID-alice" link set "${LAB_ID}2" mtu 1500
capture "$SRV" eth0 'tcp[tcpflags] & tcp-syn != 0'
tcp_ok alice 10.20.0.10
tcp_ok alice 10.20.0.10 -R
mss=$(capture_stop | sed -n 's/.*mss \([0-9]*\).*/\1/p' | sort -n | head -n 1)
equal "smallest TCP MSS that the server sees" "$mss" 1380
ping_all alice 10.20.0.10 3 -M dont -s 1472
ping_all alice fd00:20::10 3 -s 1452
no_fatal_drops

step "large datagrams (a packet socket lets the kernel join fragments up to a frame only: XDP sockets)"
ip -n "$LAB_ID-alice" link set "${LAB_ID}2" mtu 1420
lab_gateway_stop
LAB_PORT_DRIVER=net_af_xdp lab_config "$(peers_text alice)"
lab_gateway
reach alice 10.20.0.10
fragments 1472 4000 8000
udp_ok alice 10.20.0.10 -l 4000
udp_ok alice 10.20.0.10 -l 4000 -R
ip -n "$LAB_ID-alice" link set "${LAB_ID}2" mtu 1500
ping_all alice 10.20.0.10 3 -M dont -s 6000
no_fatal_drops wg_index
