#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Ports of MTU 9000: large packets through the tunnel, DF at the edge, TCP with large segments.
. "$(dirname "$0")/lib.sh"

lab_start
lab_keys alice
for e in "$GW wan0" "$GW lan0" "$NET gw" "$SRV eth0"; do
	# shellcheck disable=SC2086
	set -- $e
	ip -n "$1" link set "$2" mtu 9000
done
LAB_PORT_ARGS=,framesz=10240,blocksz=40960,framecnt=512
LAB_WAN='mtu = 9000;' LAB_LAN='mtu = 9000;' LAB_INTERFACE='mtu = 8920;'
lab_config "$(lab_peer alice 2)"
lab_gateway
lab_client alice 2
ip -n "$LAB_ID-alice" link set eth0 mtu 9000
ip -n "$NET" link set c2 mtu 9000
ip -n "$LAB_ID-alice" link set "${LAB_ID}2" mtu 8920
iperf_server
reach alice 10.20.0.10
ping_all alice 10.20.0.10 3 -M do -s 8892
ping_all alice fd00:20::10 3 -M do -s 8872
server_ping_all 10.7.0.2 3 -M do -s 8892
out=$(in_server ping -c 1 -W 2 -M do -s 8893 10.7.0.2 2>&1)
grep -q 'mtu = 8920' <<<"$out" || fail "no 'fragmentation needed' with 8920: $out"
tcp_ok alice 10.20.0.10
tcp_ok alice 10.20.0.10 -R
tcp_ok alice fd00:20::10
capture "$SRV" eth0 'tcp[tcpflags] & tcp-syn != 0'
tcp_ok alice 10.20.0.10
equal "largest MSS that the server sees" "$(capture_stop | sed -n 's/.*mss \([0-9]*\).*/\1/p' | sort -n | head -n 1)" 8880
no_fatal_drops
