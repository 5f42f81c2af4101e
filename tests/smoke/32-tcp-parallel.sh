#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# 4, 5 and 50 TCP connections at once, both ways: all of them move.
. "$(dirname "$0")/lib.sh"

smoke_start alice
reach alice 10.20.0.10
parallel() {
	local n=$1 out moved
	shift
	out=$(in_client alice timeout 40 iperf3 -c 10.20.0.10 -J -t 2 -P "$n" "$@")
	moved=$(jq '[.end.streams[].receiver.bytes | select(. > 0)] | length' <<<"$out")
	equal "$n connections $*: those that moved" "$moved" "$n"
	echo "   $n connections $*: $(jq '.end.sum_received.bits_per_second / 1e6 | floor' <<<"$out") Mbit/s"
}
for n in 4 5 50; do
	parallel $n
	parallel $n -R
done
no_drops no_mbuf steer_full auth_fail replay spoofed_source
