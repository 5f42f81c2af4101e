# SPDX-License-Identifier: BSD-3-Clause
# A small network on one machine, for quickstart and the smoke tests: namespaces, veth pairs, a gateway,
# WireGuard clients, a server. Source it, then lab_start; everything it makes ends with the shell.
#
#	clients 198.18.5.10.. --- bridge --- wan0 [gateway] lan0 --- server 10.20.0.10, fd00:20::10
#
# Names carry the lab's id, so that several labs may run at once.

LAB_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LAB_BUILD=${LAB_BUILD:-$LAB_TOP/build}
LAB_SLUICED=$LAB_BUILD/app/sluiced/sluiced
LAB_CTL=$LAB_BUILD/tools/sluicectl/sluicectl
LAB_PORT_DRIVER=${LAB_PORT_DRIVER:-net_af_packet}
LAB_CPU_GATEWAY=${LAB_CPU_GATEWAY:-}
LAB_PIDS=()
LAB_NS=()

lab_die() {
	echo "lab: $*" >&2
	exit 1
}

# lab_start: make the namespaces of the gateway (gw), the outer network (net) and the server (srv).
lab_start() {
	LAB_ID=$(printf 'sl%x' "$$")
	LAB_DIR=$(mktemp -d "${TMPDIR:-/tmp}/$LAB_ID.XXXXXX")
	LAB_RUN=$(mktemp -d "/dev/shm/$LAB_ID.XXXXXX")
	trap lab_stop EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	GW=$LAB_ID-gw NET=$LAB_ID-net SRV=$LAB_ID-srv
	lab_netns "$GW" "$NET" "$SRV"
	ip -n "$NET" link add br0 type bridge
	ip -n "$NET" link set br0 up
	lab_veth "$GW" wan0 "$NET" gw
	ip -n "$NET" link set gw master br0
	lab_veth "$GW" lan0 "$SRV" eth0
	lab_addr "$SRV" eth0 10.20.0.10/24 fd00:20::10/64
	# the return route that each server needs: tunnel addresses are behind the gateway
	ip -n "$SRV" route add 10.7.0.0/16 via 10.20.0.1
	ip -n "$SRV" -6 route add fd00:7::/64 via fd00:20::1
}

lab_stop() {
	local rc=$? p i alive
	set +e # clean up to the end, whatever the caller set
	trap - EXIT INT TERM
	for ((i = ${#LAB_PIDS[@]} - 1; i >= 0; i--)); do kill "${LAB_PIDS[i]}" 2>/dev/null; done
	for i in {1..60}; do
		alive=0
		for p in "${LAB_PIDS[@]}"; do kill -0 "$p" 2>/dev/null && alive=1; done
		[ $alive = 0 ] && break
		sleep 0.05
	done
	for p in "${LAB_PIDS[@]}"; do kill -9 "$p" 2>/dev/null; done
	wait 2>/dev/null
	for p in "${LAB_NS[@]}"; do
		# what a test left inside a namespace of its own ends with it
		ip netns pids "$p" 2>/dev/null | xargs -r kill -9 2>/dev/null
		ip netns del "$p" 2>/dev/null
	done
	# the programs may be built with sanitizers
	if grep -hE -A 30 'runtime error:|(Address|Thread|Leak)Sanitizer' "${LAB_DIR:-/nonexistent}"/*.log 2>/dev/null; then
		echo "FAIL: a sanitizer reports"
		rc=1
	fi
	if [ $rc != 0 ] && [ $rc != 77 ] && [ -n "${LAB_DIR:-}" ]; then
		for i in "$LAB_DIR"/*.log; do
			[ -s "$i" ] && { echo "--- ${i##*/}"; tail -n 30 "$i"; } >&2
		done
	fi
	rm -rf "${LAB_DIR:-}" "${LAB_RUN:-}"
	exit $rc
}

lab_netns() {
	local n
	for n in "$@"; do
		ip netns add "$n" || lab_die "no network namespaces here (run as root)"
		LAB_NS+=("$n")
		ip netns exec "$n" sysctl -q -w net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0 \
			net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.all.promote_secondaries=1
		ip -n "$n" link set lo up
	done
}

# lab_veth NS1 DEV1 NS2 DEV2: a cable. Ends in the gateway's namespace carry no kernel addresses.
lab_veth() {
	local tmp1=$LAB_ID-x tmp2=$LAB_ID-y
	ip link add "$tmp1" type veth peer name "$tmp2"
	ip link set "$tmp1" netns "$1" name "$2"
	ip link set "$tmp2" netns "$3" name "$4"
	local e
	for e in "$1 $2" "$3 $4"; do
		# shellcheck disable=SC2086
		set -- $e
		ip netns exec "$1" ethtool -K "$2" tx off >/dev/null 2>&1
		[ "$1" = "$GW" ] && ip netns exec "$1" sysctl -q -w "net.ipv6.conf.$2.disable_ipv6=1"
		ip -n "$1" link set "$2" up
	done
}

lab_addr() {
	local ns=$1 dev=$2 a
	shift 2
	for a in "$@"; do
		case $a in
		*:*) ip -n "$ns" -6 addr add "$a" dev "$dev" nodad ;;
		*) ip -n "$ns" addr add "$a" dev "$dev" ;;
		esac
	done
}

# lab_keys NAME...: a private key NAME.key and its public key in NAME.pub.
lab_keys() {
	local n
	for n in "$@"; do
		(umask 077 && wg genkey >"$LAB_DIR/$n.key")
		wg pubkey <"$LAB_DIR/$n.key" >"$LAB_DIR/$n.pub"
	done
}

lab_pub() { cat "$LAB_DIR/$1.pub"; }

LAB_WAN_ADDRESSES='"198.18.5.2/24", "2001:db8:5::2/64"'
LAB_LAN_ADDRESSES='"10.20.0.1/24", "fd00:20::1/64"'

# lab_port NAME DEVICE ADDRESSES [SETTINGS]: text of a port.
lab_port() { echo "{ name = \"$1\"; device = \"$2\"; addresses = [ $3 ]; ${4:-} }"; }

# lab_config [PEERS [EXTRA]]: write the gateway's configuration. PEERS: text of the peers list; EXTRA: more groups. Variables
# LAB_SYSTEM, LAB_INTERFACE add settings to those groups, LAB_INTERFACES (with a comma in front) more interfaces; LAB_PORTS
# and LAB_INSIDE replace the ports and the inside, LAB_WAN and LAB_LAN add settings to the two ports.
lab_config() {
	[ -e "$LAB_DIR/gateway.key" ] || lab_keys gateway
	cat >"$LAB_DIR/gateway.conf" <<-EOF
		instance = "$LAB_ID";
		system = {
			workers = ${LAB_WORKERS:-1}; idle = "sleep";
			state_dir = "$LAB_DIR/state"; run_dir = "$LAB_RUN";
			${LAB_SYSTEM:-}
		};
		ports = (
			${LAB_PORTS:-$(lab_port wan "${LAB_PORT_DRIVER}0,iface=wan0${LAB_PORT_ARGS:-}" "$LAB_WAN_ADDRESSES" "${LAB_WAN:-}"),
			$(lab_port lan "${LAB_PORT_DRIVER}1,iface=lan0${LAB_PORT_ARGS:-}" "$LAB_LAN_ADDRESSES" "${LAB_LAN:-}")}
		);
		interfaces = (
			{
				name = "$LAB_ID"; listen_port = 51820; private_key_file = "$LAB_DIR/gateway.key";
				addresses = [ "10.7.0.1/16", "fd00:7::1/64" ];
				inside = ${LAB_INSIDE:-{ port = \"lan\"; \}};
				${LAB_INTERFACE:-}
				peers = ( ${1:-} );
			}
			${LAB_INTERFACES:-}
		);
		${2:-}
		authz = { mode = "${LAB_MODE:-observe}"; };
	EOF
}

# lab_peer NAME N: text of a peer with the addresses 10.7.0.N and fd00:7::N.
lab_peer() {
	echo "{ name = \"$1\"; public_key = \"$(lab_pub "$1")\"; allowed_ips = [ \"10.7.0.$2/32\", \"fd00:7::$2/128\" ]; ${3:-} }"
}

# lab_gateway [OPTIONS]: start it and wait until it is ready.
lab_gateway() {
	local i
	ip netns exec "$GW" ${LAB_CPU_GATEWAY:+taskset -c $LAB_CPU_GATEWAY} "$LAB_SLUICED" -c "$LAB_DIR/gateway.conf" "$@" \
		>>"$LAB_DIR/gateway.log" 2>&1 </dev/null &
	LAB_GW_PID=$!
	LAB_PIDS+=("$LAB_GW_PID")
	for i in {1..150}; do
		lab_ctl rpc.ping >/dev/null 2>&1 && return 0
		kill -0 "$LAB_GW_PID" 2>/dev/null || lab_die "the gateway ended at its start: $(tail -n 3 "$LAB_DIR/gateway.log")"
		sleep 0.1
	done
	lab_die "the gateway is not ready after 15 s"
}

lab_gateway_stop() {
	kill "$LAB_GW_PID"
	wait "$LAB_GW_PID"
}

lab_ctl() { "$LAB_CTL" -s "$LAB_RUN/mgmt.sock" "$@"; }

# lab_wait SECONDS COMMAND...: until it succeeds.
lab_wait() {
	local until=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $until ] || return 1
		sleep 0.1
	done
}

# lab_client NAME N [v4|v6]: a namespace NAME with outer address 198.18.5.(10+N) and a stock WireGuard client whose inner
# addresses are 10.7.0.N and fd00:7::N. The tunnel device is called after the lab's id and N. WG_GO chooses the program.
lab_client() {
	lab_client_host "$1" "$2"
	lab_client_up "$1" "$2" "${3:-v4}"
}

# lab_client_host NAME N: its network and its WireGuard, without peers and inner addresses.
lab_client_host() {
	local ns=$LAB_ID-$1 n=$2
	lab_netns "$ns"
	lab_veth "$ns" eth0 "$NET" "c$n"
	ip -n "$NET" link set "c$n" master br0
	lab_addr "$ns" eth0 "198.18.5.$((10 + n))/24" "2001:db8:5::$((10 + n))/64"
	lab_client_start "$1" "$n"
}

# lab_client_up NAME N [v4|v6]: addresses, routes and the gateway as peer.
lab_client_up() {
	local ns=$LAB_ID-$1 n=$2 dev=$LAB_ID$2 endpoint=198.18.5.2:51820
	[ "${3:-v4}" = v6 ] && endpoint='[2001:db8:5::2]:51820'
	wg set "$dev" peer "$(lab_pub gateway)" endpoint "$endpoint" allowed-ips 10.20.0.0/16,10.7.0.0/16,fd00:20::/64,fd00:7::/64
	lab_addr "$ns" "$dev" "10.7.0.$n/32" "fd00:7::$n/128"
	ip -n "$ns" link set "$dev" up mtu 1420
	ip -n "$ns" route add 10.20.0.0/16 dev "$dev"
	ip -n "$ns" route add 10.7.0.0/16 dev "$dev"
	ip -n "$ns" -6 route add fd00:20::/64 dev "$dev"
	ip -n "$ns" -6 route add fd00:7::/64 dev "$dev"
}

# lab_client_start NAME N: the WireGuard process and its key (again, after a stop).
lab_client_start() {
	local ns=$LAB_ID-$1 dev=$LAB_ID$2 i
	[ -e "$LAB_DIR/$1.key" ] || lab_keys "$1"
	ip netns exec "$ns" env LOG_LEVEL=verbose GOMAXPROCS=${WG_THREADS:-2} "${WG_GO:-wireguard-go}" -f "$dev" >>"$LAB_DIR/$1.log" 2>&1 </dev/null &
	LAB_CLIENT_PID=$!
	LAB_PIDS+=("$LAB_CLIENT_PID")
	for i in {1..100}; do
		[ -S "/var/run/wireguard/$dev.sock" ] && break
		sleep 0.05
	done
	wg set "$dev" private-key "$LAB_DIR/$1.key" || lab_die "client $1 did not start"
}

# in_client NAME COMMAND..., in_server COMMAND...
in_client() {
	local ns=$LAB_ID-$1
	shift
	ip netns exec "$ns" "$@"
}
in_server() { ip netns exec "$SRV" "$@"; }
