#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Two interfaces are two networks: the same inner addresses and the same server addresses in both, each to its own.
# Isolation on and off between the clients of one.
. "$(dirname "$0")/lib.sh"

lab_start
SRV2=$LAB_ID-srv2
lab_netns "$SRV2"
lab_veth "$GW" lan1 "$SRV2" eth0
lab_addr "$SRV2" eth0 10.20.0.10/24 fd00:20::10/64
ip -n "$SRV2" route add 10.7.0.0/16 via 10.20.0.1
ip -n "$SRV2" -6 route add fd00:7::/64 via fd00:20::1
lab_keys alice bob carol second gateway
LAB_PORTS="$(lab_port wan net_af_packet0,iface=wan0 "$LAB_WAN_ADDRESSES"),
	$(lab_port lan net_af_packet1,iface=lan0 "$LAB_LAN_ADDRESSES"),
	$(lab_port lan2 net_af_packet2,iface=lan1 "$LAB_LAN_ADDRESSES")"
LAB_INTERFACES=", { name = \"${LAB_ID}b\"; listen_port = 51821; private_key_file = \"$LAB_DIR/second.key\";
	addresses = [ \"10.7.0.1/16\", \"fd00:7::1/64\" ]; inside = { port = \"lan2\"; }; peers = ( $(lab_peer bob 2) ); }"
lab_config "$(lab_peer alice 2), $(lab_peer carol 3)"
lab_gateway
lab_client alice 2
lab_client carol 3
# bob has the inner addresses of alice, in the other network
lab_client bob 12
ip -n "$LAB_ID-bob" addr flush dev "${LAB_ID}12"
lab_addr "$LAB_ID-bob" "${LAB_ID}12" 10.7.0.2/32 fd00:7::2/128
wg set "${LAB_ID}12" peer "$(lab_pub gateway)" remove peer "$(lab_pub second)" endpoint 198.18.5.2:51821 \
	allowed-ips 10.20.0.0/16,10.7.0.0/16,fd00:20::/64,fd00:7::/64
for r in 10.20.0.0/16 10.7.0.0/16; do ip -n "$LAB_ID-bob" route replace $r dev "${LAB_ID}12"; done
for r in fd00:20::/64 fd00:7::/64; do ip -n "$LAB_ID-bob" -6 route replace $r dev "${LAB_ID}12"; done

echoes() { ip netns exec "$1" nstat -asz "$2" | awk 'NR == 2 {print $2}'; }
step "each client reaches the server of its own network"
reach alice 10.20.0.10
reach bob 10.20.0.10
a=$(echoes "$SRV" IcmpInEchos) b=$(echoes "$SRV2" IcmpInEchos)
ping_all alice 10.20.0.10 7
equal "echoes at the first server" $(($(echoes "$SRV" IcmpInEchos) - a)) 7
equal "echoes at the second server" $(($(echoes "$SRV2" IcmpInEchos) - b)) 0
ping_all bob 10.20.0.10 4
equal "echoes at the first server" $(($(echoes "$SRV" IcmpInEchos) - a)) 7
equal "echoes at the second server" $(($(echoes "$SRV2" IcmpInEchos) - b)) 4
a=$(echoes "$SRV" Icmp6InEchos) b=$(echoes "$SRV2" Icmp6InEchos)
ping_all bob fd00:20::10 3
equal "IPv6 echoes at the second server" $(($(echoes "$SRV2" Icmp6InEchos) - b)) 3
equal "IPv6 echoes at the first server" $(($(echoes "$SRV" Icmp6InEchos) - a)) 0
iperf_server
iperf_server "$SRV2"
tcp_ok alice 10.20.0.10
tcp_ok bob 10.20.0.10
no_fatal_drops

step "a key of one network is unknown in the other"
wg set "${LAB_ID}12" peer "$(lab_pub second)" remove peer "$(lab_pub gateway)" endpoint 198.18.5.2:51820 allowed-ips 10.20.0.0/16
ping_none bob 10.20.0.10 2
at_least "initiations of unknown peers" "$(drop hs_unknown_peer)" 1

step "isolation on: no tunnel to tunnel"
ping_none carol 10.7.0.2 2
ping_none carol fd00:7::2 2
at_least "isolated packets" "$(drop isolation)" 4
step "isolation off: tunnel to tunnel"
rpc interface.set "{\"interface\":\"$LAB_ID\",\"isolation\":false}" >/dev/null || fail "interface.set"
reach carol 10.7.0.2
ping_all carol fd00:7::2
iperf_server "$LAB_ID-alice"
tcp_ok carol 10.7.0.2
tcp_ok carol 10.7.0.2 -R
step "and on again"
rpc interface.set "{\"interface\":\"$LAB_ID\",\"isolation\":true}" >/dev/null || fail "interface.set"
ping_none carol 10.7.0.2 2
ping_all carol 10.20.0.10
