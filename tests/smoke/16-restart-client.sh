#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A client that is killed and started again is served at once, several times, while another goes on undisturbed.
. "$(dirname "$0")/lib.sh"

smoke_start alice bob
pid_bob=$LAB_CLIENT_PID
reach alice 10.20.0.10
reach bob 10.20.0.10
bob_index=$(session_of bob local_index)
ping_start bob 10.20.0.10

restart_alice() {
	local pid
	pid=$(ip netns pids "$LAB_ID-alice" | head -n 1)
	kill "-$1" "$pid"
	lab_wait 3 eval '! kill -0 '"$pid" || fail "the client does not end"
	rm -f "/var/run/wireguard/${LAB_ID}2.sock"
	lab_client_start alice 2
	lab_client_up alice 2
}
for signal in TERM KILL TERM; do
	step "killed by SIG$signal and started again"
	restart_alice $signal
	start=$(now_ms)
	reach alice 10.20.0.10 5
	echo "   first answer after $(($(now_ms) - start)) ms"
	ping_all alice fd00:20::10
done
ping_end bob
equal "keys of the other client" "$(session_of bob local_index)" "$bob_index"
at_least "handshakes of alice" "$(peer_of alice handshakes)" 4
kill -0 "$pid_bob" || fail "the other client is gone"
no_fatal_drops
