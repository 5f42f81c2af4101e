#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Debian's wireguard-go through the gateway to a server: ping, TCP and UDP, IPv4 and IPv6; counters on both ends agree.
. "$(dirname "$0")/lib.sh"

smoke_start alice
step "ten pings: bytes as WireGuard counts them"
in_client alice ping -c 10 -i 0.2 -W 3 10.20.0.10 | grep -q ' 10 received' || fail "the first ten pings are not all answered"
# 148 + 10 * 128 (96 padded from 84, 32 around it), perhaps a keepalive; back 92 + 10 * 128
rx=$(peer_of alice rx_bytes) tx=$(peer_of alice tx_bytes)
[ "$rx" = 1428 ] || [ "$rx" = 1460 ] || fail "received $rx bytes, wanted 1428 (or 1460)"
equal "sent bytes" "$tx" 1372

step "the gateway's own inner addresses answer"
ping_all alice 10.7.0.1
ping_all alice fd00:7::1
ping_all alice fd00:20::10 20 -s 1000

step "both ends count the same"
sleep 0.3
read -r _ _ _ _ client_rx client_tx < <(wg show "${LAB_ID}2" dump | awk 'NR == 2 {print $1, $2, $3, $4, $6, $7}')
equal "gateway received, client sent" "$(peer_of alice rx_bytes)" "$client_tx"
equal "gateway sent, client received" "$(peer_of alice tx_bytes)" "$client_rx"
wg show "$LAB_ID" latest-handshakes | awk -v now="$(date +%s)" '{if (now - $2 > 60) exit 1}' || fail "wg show: no recent handshake"

step "traffic"
basic_traffic alice
no_fatal_drops
