#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Two workers behind one receiving lcore, then two workers with two queues a port: ten clients, whatever lives where.
. "$(dirname "$0")/lib.sh"
export WG_THREADS=1

clients=(c2 c3 c4 c5 c6 c7 c8 c9 c10 c11)
run() {
	lab_gateway
	local n=2 c
	if [ -z "${made:-}" ]; then
		for c in "${clients[@]}"; do lab_client "$c" $((n++)); done
		iperf_server
		iperf_server "$SRV" 5202
		iperf_server "$SRV" 5203
		made=1
	fi
	equal "lcores" "$(rpc sys.lcores | jq -rc '[.lcores[].role] | sort')" "$1"
	ten_clients_traffic "${clients[@]}"
	echo "   workers of the peers: $(rpc peer.list | jq -c '[.peers[].worker] | group_by(.) | map(length)')"
	equal "workers that own peers" "$(rpc peer.list | jq '[.peers[].worker] | unique | length')" 2
	no_fatal_drops
	lab_gateway_stop
}
lab_start
lab_keys "${clients[@]}"
step "one io lcore steers to two workers"
LAB_WORKERS=2 LAB_SYSTEM='io = 1; cpus = [ 0, 1, 1, 1 ];' lab_config "$(peers_text "${clients[@]}")"
run '["control","hs","io","worker","worker"]'
step "two workers, two queues a port"
LAB_WORKERS=2 LAB_SYSTEM='cpus = [ 0, 1, 1, 1 ];' LAB_PORT_ARGS=,qpairs=2 lab_config "$(peers_text "${clients[@]}")"
run '["control","hs","worker","worker"]'
