#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Site to site: the other site's wireguard-go knows no endpoint of ours; traffic begins at our inside.
. "$(dirname "$0")/lib.sh"

lab_start
lab_keys site
text=$(lab_peer site 2 'endpoint = "198.18.5.12:51821";')
lab_config "${text/\"10.7.0.2\/32\"/\"10.7.0.2\/32\", \"10.50.0.0\/24\"}"
lab_gateway
in_server ip route add 10.50.0.0/24 via 10.20.0.1
lab_client site 2
dev=${LAB_ID}2
wg set "$dev" listen-port 51821 peer "$(lab_pub gateway)" remove
wg set "$dev" peer "$(lab_pub gateway)" allowed-ips 10.20.0.0/16,fd00:20::/64,10.7.0.1/32,fd00:7::1/128
ip -n "$LAB_ID-site" addr add 10.50.0.1/24 dev lo
iperf_server "$LAB_ID-site"

step "first packets wait for the handshake and pass"
server_ping_all 10.50.0.1 5
equal "handshakes that the gateway began" "$(rpc stats.get | jq .handshakes.sessions_initiator)" 1
equal "the gateway is the initiator" "$(session_of site initiator)" true
server_ping_all fd00:7::2 5
step "TCP both ways"
mbit=$(in_server timeout 30 iperf3 -c 10.50.0.1 -J -t 1 | jq '(.end.sum_received.bits_per_second // 0) / 1e6 | floor')
at_least "Mbit/s to the site" "$mbit" 20
mbit=$(in_server timeout 30 iperf3 -c 10.7.0.2 -J -t 1 -R | jq '(.end.sum_received.bits_per_second // 0) / 1e6 | floor')
at_least "Mbit/s from the site" "$mbit" 20
equal "what the site knows of us" "$(wg show "$dev" endpoints | cut -f2)" 198.18.5.2:51820
no_fatal_drops

step "the site goes away and comes back under the same endpoint"
stop_pid "$LAB_CLIENT_PID"
in_server ping -c 2 -i 0.2 -W 1 10.50.0.1 >/dev/null && fail "a dead site answers"
lab_client_start site 2
wg set "$dev" listen-port 51821 peer "$(lab_pub gateway)" allowed-ips 10.20.0.0/16
lab_addr "$LAB_ID-site" "$dev" 10.7.0.2/32
ip -n "$LAB_ID-site" link set "$dev" up mtu 1420
ip -n "$LAB_ID-site" route add 10.20.0.0/16 dev "$dev"
# no answer for 15 s (keepalive and rekey timeouts together) makes the gateway begin anew
lab_wait 25 in_server ping -c 1 -W 1 10.50.0.1 || fail "the gateway does not begin anew"
