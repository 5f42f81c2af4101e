#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# One port for both sides, as in a cloud network: clients, gateway and server on one segment.
. "$(dirname "$0")/lib.sh"

lab_start
lab_keys alice bob
lab_veth "$SRV" eth1 "$NET" srv
ip -n "$NET" link set srv master br0
ip -n "$SRV" addr flush dev eth0
ip -n "$SRV" link set eth0 down
lab_addr "$SRV" eth1 10.20.0.10/24 fd00:20::10/64
ip -n "$SRV" route add 10.7.0.0/16 via 10.20.0.1
ip -n "$SRV" -6 route add fd00:7::/64 via fd00:20::1
LAB_PORTS=$(lab_port wan net_af_packet0,iface=wan0 "$LAB_WAN_ADDRESSES, $LAB_LAN_ADDRESSES")
LAB_INSIDE='{ port = "wan"; prefixes = [ "10.20.0.0/24", "fd00:20::/64" ]; }'
lab_config "$(peers_text alice bob)"
lab_gateway
lab_client alice 2
lab_client bob 3 v6
iperf_server
basic_traffic alice
reach bob 10.20.0.10
ping_all bob fd00:20::10
server_ping_all 10.7.0.2 3
no_fatal_drops

step "a plaintext packet from outside the inside prefixes does not pass"
lab_netns "$LAB_ID-evil"
lab_veth "$LAB_ID-evil" eth0 "$NET" evil
ip -n "$NET" link set evil master br0
lab_addr "$LAB_ID-evil" eth0 198.18.5.66/24
ip -n "$LAB_ID-evil" route add 10.7.0.0/16 via 198.18.5.2
ip netns exec "$LAB_ID-evil" ping -c 3 -i 0.2 -W 1 10.7.0.2 >/dev/null && fail "a stranger reaches the client in clear"
equal "packets not from the inside" "$(drop not_inside)" 3
step "nor one that claims a tunnel's address"
lab_addr "$LAB_ID-evil" lo 10.7.0.3/32
ip netns exec "$LAB_ID-evil" ping -c 3 -i 0.2 -W 1 -I 10.7.0.3 10.7.0.2 >/dev/null
equal "spoofed packets" "$(drop spoofed_source)" 3
