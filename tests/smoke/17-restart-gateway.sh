#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The gateway is stopped, or killed, and started again: traffic is back within 5 s although nobody touches the clients,
# not even for a client that only waits for the server. Learned endpoints are in the memory-backed directory alone.
. "$(dirname "$0")/lib.sh"

smoke_start alice bob
reach alice 10.20.0.10
reach bob 10.20.0.10

back_within_5s() {
	local start took
	kill "-$1" "$LAB_GW_PID"
	wait "$LAB_GW_PID" 2>/dev/null
	[ "$1" = KILL ] || [ ! -e "$LAB_RUN/mgmt.sock" ] || fail "the socket is still there after SIG$1"
	lab_gateway
	start=$(now_ms)
	# bob sends nothing: the gateway itself must begin
	lab_wait 6 in_server ping -c 1 -W 1 10.7.0.3 || fail "SIG$1: the server does not reach the silent client"
	took=$(($(now_ms) - start))
	at_most "milliseconds to the silent client after SIG$1" $took 5000
	echo "   SIG$1: silent client back after $took ms"
	lab_wait 6 in_client alice ping -c 1 -W 1 10.20.0.10 || fail "SIG$1: no traffic from the client"
	took=$(($(now_ms) - start))
	at_most "milliseconds to both after SIG$1" $took 5000
	echo "   SIG$1: both back after $took ms"
	ping_all alice fd00:20::10
}

step "stopped"
back_within_5s TERM
step "endpoints are kept in memory only"
grep -rqa '198.18.5.12' "$LAB_RUN" || fail "no endpoint in the memory-backed directory"
! grep -rqa '198.18.5.12' "$LAB_DIR/state" || fail "an endpoint on disk: $(grep -rla 198.18.5.12 "$LAB_DIR/state")"
step "killed"
sleep 1.5 # what was learned is written at least once a second
back_within_5s KILL
step "an address learned by roaming survives too"
lab_addr "$LAB_ID-bob" eth0 198.18.5.99/24
ip -n "$LAB_ID-bob" addr del 198.18.5.13/24 dev eth0
wg set "${LAB_ID}3" listen-port 40009 # makes wireguard-go forget the source address that it had
reach bob 10.20.0.10
sleep 1.5
back_within_5s KILL
equal "endpoint" "$(peer_of bob endpoint | cut -d: -f1)" 198.18.5.99
no_drops auth_fail replay hs_replay hs_invalid spoofed_source no_mbuf
