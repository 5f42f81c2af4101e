#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The client changes its address and port in the middle of a transfer, then its address family: TCP goes on, and the
# gateway follows after the first packet that authenticates.
. "$(dirname "$0")/lib.sh"

smoke_start alice
dev=${LAB_ID}2
reach alice 10.20.0.10

# roam WHAT IPERF-OPTION...: a transfer of 5 s with move() at 2 s; the last two seconds must carry data.
roam() {
	local what=$1 pid tail_bytes
	shift
	in_client alice timeout 30 iperf3 -c 10.20.0.10 -J -t 5 "$@" >"$LAB_DIR/roam.json" &
	pid=$!
	sleep 2
	move
	wait "$pid" || fail "$what: the transfer broke: $(jq -c .error "$LAB_DIR/roam.json")"
	tail_bytes=$(jq '[.intervals[-2:][].sum.bytes] | add' "$LAB_DIR/roam.json")
	at_least "$what: bytes in the last two seconds" "$tail_bytes" 5000000
	echo "   $what: $((tail_bytes / 250000)) Mbit/s after the move, retransmits $(jq .end.sum_sent.retransmits "$LAB_DIR/roam.json")"
}

step "another address and port, upload"
move() {
	lab_addr "$LAB_ID-alice" eth0 198.18.5.77/24
	ip -n "$LAB_ID-alice" addr del 198.18.5.12/24 dev eth0
	wg set "$dev" listen-port 40001
}
roam "v4 to v4, upload"
equal "endpoint" "$(peer_of alice endpoint)" 198.18.5.77:40001

step "again, download; a client that only receives makes itself heard by its keepalive"
wg set "$dev" peer "$(lab_pub gateway)" persistent-keepalive 1
move() {
	lab_addr "$LAB_ID-alice" eth0 198.18.5.78/24
	ip -n "$LAB_ID-alice" addr del 198.18.5.77/24 dev eth0
	wg set "$dev" listen-port 40002
}
roam "v4 to v4, download" -R
equal "endpoint" "$(peer_of alice endpoint)" 198.18.5.78:40002

step "from IPv4 to IPv6"
# Replies that are on their way over IPv4 take the client back to the old endpoint, as roaming has it: say it again.
move() {
	for _ in {1..40}; do
		wg set "$dev" peer "$(lab_pub gateway)" endpoint '[2001:db8:5::2]:51820'
		sleep 0.05
		[ "$(peer_of alice endpoint)" = '[2001:db8:5::12]:40002' ] && break
	done
}
roam "v4 to v6, upload"
equal "endpoint" "$(peer_of alice endpoint)" '[2001:db8:5::12]:40002'

step "a forged datagram from elsewhere moves nothing"
before=$(peer_of alice endpoint)
index=$(session_of alice local_index)
ip netns exec "$NET" true # the network's namespace has no address: a third namespace sends
lab_netns "$LAB_ID-evil"
lab_veth "$LAB_ID-evil" eth0 "$NET" evil
ip -n "$NET" link set evil master br0
lab_addr "$LAB_ID-evil" eth0 198.18.5.66/24
ip netns exec "$LAB_ID-evil" /usr/bin/python3 -c "
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(20):
    s.sendto(struct.pack('<IIQ', 4, $index, 1 << 40 | n) + bytes(48), ('198.18.5.2', 51820))"
lab_wait 3 eval '[ "$(drop auth_fail)" = 20 ]' || fail "forged packets: auth_fail is $(drop auth_fail), wanted 20"
equal "endpoint after forged packets" "$(peer_of alice endpoint)" "$before"
ping_all alice 10.20.0.10
no_drops replay hs_mac1 hs_invalid hs_unknown_peer spoofed_source no_mbuf
