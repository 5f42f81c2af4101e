#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The same traffic over other kinds of ports: XDP sockets, libpcap, kernel taps; and memif and vhost-user/virtio-user
# between two gateways, which talk to each other as two sites.
. "$(dirname "$0")/lib.sh"

lab_start
lab_keys alice east west
traffic() {
	local a
	for a in 10.20.0.10 fd00:20::10; do
		reach alice $a
		ping_all alice $a 5
		ping_all alice $a 3 -s 1300
		tcp_ok alice $a
		tcp_ok alice $a -R
	done
	no_fatal_drops wg_index
}
started=
with_port() {
	lab_config "$(peers_text alice)"
	lab_gateway
	[ "$(rpc port.list | jq -r '.ports[0].driver')" = "$1" ] || fail "driver is $(rpc port.list | jq -c '[.ports[].driver]')"
}
client() {
	[ -n "$started" ] || { lab_client alice 2; iperf_server; }
	started=1
}

step "net_af_xdp"
LAB_PORT_DRIVER=net_af_xdp with_port net_af_xdp
client
traffic
kill -KILL "$LAB_GW_PID" # the XDP program stays attached
wait "$LAB_GW_PID" 2>/dev/null
lab_gateway
reach alice 10.20.0.10
lab_gateway_stop
step "net_pcap on a live interface"
LAB_PORT_DRIVER=net_pcap with_port net_pcap
traffic
lab_gateway_stop

step "net_tap: kernel taps, moved to where the cables were"
LAB_PORTS="$(lab_port wan net_tap0,iface=twan "$LAB_WAN_ADDRESSES"), $(lab_port lan net_tap1,iface=tlan "$LAB_LAN_ADDRESSES")"
ip -n "$GW" link set wan0 down
ip -n "$GW" link set lan0 down
with_port net_tap
# the kernel's ends need addresses of their own: a bridge keeps frames to its ports' own
ip -n "$GW" link set twan address 02:00:00:00:05:01
ip -n "$GW" link set tlan address 02:00:00:00:20:01
ip -n "$GW" link set twan netns "$NET"
ip -n "$NET" link set twan master br0
ip -n "$NET" link set twan up
ip -n "$GW" link set tlan netns "$SRV"
ip -n "$SRV" addr flush dev eth0
lab_addr "$SRV" tlan 10.20.0.10/24 fd00:20::10/64
ip -n "$SRV" link set tlan up
ip netns exec "$SRV" ethtool -K tlan tx off >/dev/null 2>&1
ip -n "$SRV" route replace 10.7.0.0/16 via 10.20.0.1
ip -n "$SRV" -6 route del fd00:7::/64
ip -n "$SRV" -6 route add fd00:7::/64 via fd00:20::1
traffic
lab_gateway_stop
LAB_PORTS=
ip -n "$GW" link set lan0 up
lab_addr "$SRV" eth0 10.20.0.10/24 fd00:20::10/64

# site NAME PEER N DEVICE LAN WAN-ADDRESS PEER-ENDPOINT: configuration of one of two gateways that share a cable
site() {
	cat >"$LAB_DIR/$1.conf" <<-EOF
		instance = "$LAB_ID$1";
		system = { workers = 1; idle = "sleep"; state_dir = "$LAB_DIR/state-$1"; run_dir = "$LAB_RUN/$1"; };
		ports = ( $(lab_port wan "$4" "\"$6\""), $(lab_port lan "net_af_packet1,iface=$5" "\"10.$3.0.1/24\"") );
		interfaces = ( {
			name = "$LAB_ID${1:0:1}"; listen_port = 51820; private_key_file = "$LAB_DIR/$1.key"; addresses = [ "10.7.0.$3/24" ];
			inside = { port = "lan"; };
			peers = ( { name = "$2"; public_key = "$(lab_pub "$2")"; endpoint = "$7:51820"; allowed_ips = [ "10.$8.0.0/24" ]; } );
		} );
		authz = { mode = "observe"; };
	EOF
	ip netns exec "$GW" "$LAB_SLUICED" -c "$LAB_DIR/$1.conf" >>"$LAB_DIR/$1.log" 2>&1 </dev/null &
	LAB_LAST=$!
	LAB_PIDS+=("$LAB_LAST")
	lab_wait 15 "$LAB_CTL" -s "$LAB_RUN/$1/mgmt.sock" rpc.ping || fail "$1 does not start: $(tail -n 3 "$LAB_DIR/$1.log")"
}
two_sites() {
	local east west
	site east west 21 "$1" lan0 198.18.9.1/24 198.18.9.2 22
	east=$LAB_LAST
	site west east 22 "$2" lan2 198.18.9.2/24 198.18.9.1 21
	west=$LAB_LAST
	lab_wait 10 in_server ping -c 1 -W 1 10.22.0.10 || fail "the two sites do not reach each other"
	server_ping_all 10.22.0.10 10
	server_ping_all 10.22.0.10 3 -s 1300
	mbit=$(in_server timeout 30 iperf3 -c 10.22.0.10 -J -t 1 | jq '(.end.sum_received.bits_per_second // 0) / 1e6 | floor')
	at_least "Mbit/s between the sites" "$mbit" 20
	echo "   TCP between the sites: $mbit Mbit/s"
	stop_pid "$west"
	stop_pid "$east"
}
SRV2=$LAB_ID-srv2
lab_netns "$SRV2"
lab_veth "$GW" lan2 "$SRV2" eth0
lab_addr "$SRV2" eth0 10.22.0.10/24
ip -n "$SRV2" route add default via 10.22.0.1
lab_addr "$SRV" eth0 10.21.0.10/24
ip -n "$SRV" route add 10.22.0.0/24 via 10.21.0.1
iperf_server "$SRV2"
step "net_memif between two gateways"
two_sites "net_memif0,role=server,id=0,socket=$LAB_DIR/memif.sock,socket-abstract=no" \
	"net_memif0,role=client,id=0,socket=$LAB_DIR/memif.sock,socket-abstract=no"
step "net_vhost and net_virtio_user between two gateways"
two_sites "net_vhost0,iface=$LAB_DIR/vhost.sock" "net_virtio_user0,path=$LAB_DIR/vhost.sock,queue_size=1024"
