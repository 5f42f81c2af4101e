#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# alone: at 100 Mbit/s through four threads
# Two workers with two queues a port; the client's address and port keep changing under load, so that its packets reach
# now the one, now the other. Pings beside it lose nothing that the move itself does not cost.
. "$(dirname "$0")/lib.sh"
export WG_THREADS=1

lab_start
lab_keys alice bob
LAB_WORKERS=2 LAB_SYSTEM='cpus = [ 0, 1, 1 ];' LAB_PORT_ARGS=,qpairs=2
lab_config "$(peers_text alice bob)"
lab_gateway
lab_client alice 2
lab_client bob 3
iperf_server
reach alice 10.20.0.10
reach bob 10.20.0.10
ping_start bob 10.20.0.10
in_client alice timeout 40 iperf3 -c 10.20.0.10 -J -t 8 -b 100M >"$LAB_DIR/move.json" &
transfer=$!
homes=
for port in {41001..41014}; do
	sleep 0.5
	wg set "${LAB_ID}2" listen-port "$port"
	homes+=$(peer_of alice worker)
done
wait $transfer || fail "the transfer broke: $(jq -c .error "$LAB_DIR/move.json")"
mbit=$(jq '.end.sum_received.bits_per_second / 1e6 | floor' "$LAB_DIR/move.json")
echo "   $mbit Mbit/s, homes $homes"
at_least "Mbit/s over 14 moves" "$mbit" 60
reach alice 10.20.0.10
equal "endpoint" "$(peer_of alice endpoint)" 198.18.5.12:41014
ping_end bob
ping_all alice 10.20.0.10 20
no_drops auth_fail replay wg_index wrong_interface hs_mac1 hs_invalid spoofed_source no_mbuf steer_full
