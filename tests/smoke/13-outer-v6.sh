#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A client that reaches the gateway over IPv6 carries both families, beside one that comes over IPv4.
. "$(dirname "$0")/lib.sh"

lab_start
lab_keys alice bob
lab_config "$(peers_text alice bob)"
lab_gateway
lab_client alice 2 v6
lab_client bob 3
iperf_server
basic_traffic alice
SNAP=2000 capture "$NET" c2 'ip6 and udp port 51820'
ping_all alice 10.20.0.10 20 -s 1200
ping_all alice fd00:20::10 20 -s 1200
ping_all bob 10.20.0.10
ping_all bob fd00:20::10
case $(peer_of alice endpoint) in
"[2001:db8:5::12]:"*) ;;
*) fail "endpoint of the IPv6 client is $(peer_of alice endpoint)" ;;
esac
lines=$(capture_stop)
at_least "IPv6 packets of the tunnel" "$(grep -c 'IP6' <<<"$lines")" 60
# a zero checksum is not allowed in IPv6; tcpdump marks wrong ones
! grep -q 'bad udp cksum\|no cksum' <<<"$lines" || fail "outer UDP checksum over IPv6: $(grep -m 2 'cksum' <<<"$lines")"
no_fatal_drops
