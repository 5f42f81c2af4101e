#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Ten clients at once: pings of all in parallel, TCP of three beside them; tunnel to tunnel stays closed.
. "$(dirname "$0")/lib.sh"
export WG_THREADS=1

clients=(c2 c3 c4 c5 c6 c7 c8 c9 c10 c11)
smoke_start "${clients[@]}"
iperf_server "$SRV" 5202
iperf_server "$SRV" 5203
ten_clients_traffic "${clients[@]}"

step "each has a handshake and its own endpoint"
equal "peers with a handshake" "$(rpc peer.list | jq '[.peers[] | select(.state == "established")] | length')" 10
equal "endpoints" "$(rpc peer.list | jq -r '.peers[].endpoint | split(":")[0]' | sort -u | wc -l)" 10
step "isolation"
ping_none c2 10.7.0.3 2
ping_none c2 fd00:7::3 2
at_least "packets dropped for isolation" "$(drop isolation)" 4
no_fatal_drops
