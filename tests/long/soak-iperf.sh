#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 900
# Ten minutes of TCP and UDP from three clients, with peers added, changed and removed all the time: memory, packet
# buffers and keypairs stay where they are.
. "$(dirname "$0")/../smoke/lib.sh"
SECONDS_SOAK=${SECONDS_SOAK:-600}
export WG_THREADS=1

smoke_start alice bob carol
iperf_server "$SRV" 5202
iperf_server "$SRV" 5203
lab_keys churn
for c in alice bob carol; do reach $c 10.20.0.10; done
memory() { awk '/^(VmRSS|RssAnon)/ {s = s " " $2} END {print s}' "/proc/$LAB_GW_PID/status"; }

in_client alice iperf3 -c 10.20.0.10 -t "$SECONDS_SOAK" -b 300M -J >"$LAB_DIR/soak-alice" 2>&1 & a=$!
in_client bob iperf3 -c fd00:20::10 -p 5202 -t "$SECONDS_SOAK" -b 300M -R -J >"$LAB_DIR/soak-bob" 2>&1 & b=$!
in_client carol iperf3 -c 10.20.0.10 -p 5203 -t "$SECONDS_SOAK" -u -b 20M -l 1200 -J >"$LAB_DIR/soak-carol" 2>&1 & c=$!
LAB_PIDS+=("$a" "$b" "$c")
sleep 15
rss0=$(awk '/^VmRSS/ {print $2}' "/proc/$LAB_GW_PID/status")
round=0
while kill -0 $a 2>/dev/null; do
	for i in {1..20}; do
		rpc peer.add "{\"interface\":\"$LAB_ID\",\"public_key\":\"$(lab_pub churn)\",\"allowed_ips\":[\"10.7.9.$i/32\"]}" >/dev/null || fail "peer.add"
		rpc peer.set "{\"interface\":\"$LAB_ID\",\"public_key\":\"$(lab_pub churn)\",\"allowed_ips\":[\"10.7.10.$i/32\",\"fd00:7::10$i/128\"]}" >/dev/null || fail "peer.set"
		rpc peer.remove "{\"interface\":\"$LAB_ID\",\"peer\":\"$(lab_pub churn)\"}" >/dev/null || fail "peer.remove"
	done
	sleep 5
	[ $((round++ % 6)) = 0 ] && echo "   memory (kB)$(memory), mbufs in use $(rpc sys.mem | jq .mbufs_in_use), keypairs $(rpc sys.mem | jq -c '[.keypairs_live, .keypairs_pending, .keypairs_retired]')"
done
wait $a $b $c
sleep 3
rss1=$(awk '/^VmRSS/ {print $2}' "/proc/$LAB_GW_PID/status")
for who in alice bob; do
	mbit=$(jq '.end.sum_received.bits_per_second / 1e6 | floor' "$LAB_DIR/soak-$who")
	at_least "Mbit/s of $who" "$mbit" 100
	stalls=$(jq '[.intervals[] | select(.sum.bytes == 0 and .sum.seconds > 0.5)] | length' "$LAB_DIR/soak-$who")
	equal "seconds of $who without a byte" "$stalls" 0
	echo "   $who: $mbit Mbit/s"
done
lost=$(jq '.end.sum.lost_percent' "$LAB_DIR/soak-carol")
echo "   carol: $lost % of $(jq .end.sum.packets "$LAB_DIR/soak-carol") datagrams lost"
# lost where a CPU is short: sockets and queues of clients as well as rings of packet sockets
at_most "percent of datagrams lost" "$(jq '.end.sum.lost_percent | ceil' "$LAB_DIR/soak-carol")" 10
echo "   resident memory $rss0 -> $rss1 kB"
at_most "kB that memory grew" $((rss1 - rss0)) 4096
at_most "packet buffers in use at rest" "$(rpc sys.mem | jq .mbufs_in_use)" 3000
equal "peers" "$(rpc peer.list | jq '.peers | length')" 3
at_most "keypairs at rest" "$(rpc sys.mem | jq '.keypairs_live + .keypairs_retired')" 9
no_drops auth_fail wg_index hs_invalid no_mbuf spoofed_source headroom keypair_expired
show_drops
