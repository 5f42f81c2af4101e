#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The private server is on a VLAN of the inside port: a crafted host answers with tagged frames.
. "$(dirname "$0")/lib.sh"

lab_start
lab_keys alice
LAB_PORTS="$(lab_port wan net_af_packet0,iface=wan0 "$LAB_WAN_ADDRESSES"),
	$(lab_port lan net_af_packet1,iface=lan0 '"10.99.0.1/24"' "vlans = ( { id = 100; addresses = [ $LAB_LAN_ADDRESSES ]; } );")"
LAB_INSIDE='{ port = "lan"; vlan = 100; }'
lab_config "$(lab_peer alice 2)"
lab_gateway
lab_client alice 2
ip -n "$SRV" addr flush dev eth0
ip netns exec "$SRV" sysctl -q -w net.ipv6.conf.eth0.disable_ipv6=1
background in_server /usr/bin/python3 "$SMOKE/vlan_host.py" eth0 100 10.20.0.10 fd00:20::10 >"$LAB_DIR/vlan.log" 2>&1
lab_wait 10 grep -q ready "$LAB_DIR/vlan.log" || skip "no scapy: $(tail -n 1 "$LAB_DIR/vlan.log")"

step "tagged, both families"
reach alice 10.20.0.10
ping_all alice 10.20.0.10
ping_all alice 10.20.0.10 3 -s 1300
reach alice fd00:20::10
ping_all alice fd00:20::10
equal "neighbours on the VLAN" "$(rpc neighbour.list | jq '[.neighbours[] | select(.vlan == 100 and .state == "reachable")] | length')" 2
step "an untagged packet to the tunnel does not pass, nor one of another VLAN"
before=$(drop not_tunnel)
in_server /usr/bin/python3 "$SMOKE/vlan_host.py" eth0 send 0 10.20.0.10 10.7.0.2 "$(rpc port.list | jq -r '.ports[1].mac')"
in_server /usr/bin/python3 "$SMOKE/vlan_host.py" eth0 send 200 10.20.0.10 10.7.0.2 "$(rpc port.list | jq -r '.ports[1].mac')"
lab_wait 3 eval '[ "$(drop not_tunnel)" -gt '"$before"' ]' || fail "the untagged packet is not dropped as not_tunnel"
lab_wait 3 eval '[ "$(drop l2_vlan)" -ge 1 ]' || fail "the packet of VLAN 200 is not dropped as l2_vlan"
no_fatal_drops
