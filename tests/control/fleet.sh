# SPDX-License-Identifier: BSD-3-Clause
# Several gateways and several nodes of the control plane on one machine. Source it, then fleet_start.
#
#	clients 198.18.5.10.. --- br0 --- wan0 [gw1 gw2 gw3] lan0 --- brl --- server 10.20.0.10
#	                                      m0 192.0.2.K --- brm --- control planes cp1 cp2 cp3: 192.0.2.101..
#
# Gateway K: outer address 198.18.5.K+1, inside 10.20.0.K, its clients' pool 10.7.K.0/24.
. "$(dirname "${BASH_SOURCE[0]}")/../smoke/lib.sh"
CONTROL=$LAB_BUILD/app/control/sluice-control

# fleet_start GATEWAYS: networks, an authority, a server; no program yet.
fleet_start() {
	LAB_ID=$(printf 'sl%x' "$$")
	LAB_DIR=$(mktemp -d "${TMPDIR:-/tmp}/$LAB_ID.XXXXXX")
	LAB_RUN=$(mktemp -d "/dev/shm/$LAB_ID.XXXXXX")
	trap lab_stop EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	GW=$LAB_ID-gw1 NET=$LAB_ID-net SRV=$LAB_ID-srv
	FLEET_GW=$1
	lab_netns "$NET" "$SRV"
	local b k
	for b in br0 brl brm; do
		ip -n "$NET" link add "$b" type bridge
		ip -n "$NET" link set "$b" up
	done
	fleet_cable "$SRV" eth0 srv brl
	lab_addr "$SRV" eth0 10.20.0.10/24
	for ((k = 1; k <= FLEET_GW; k++)); do
		lab_netns "$LAB_ID-gw$k"
		fleet_cable "$LAB_ID-gw$k" wan0 "w$k" br0
		fleet_cable "$LAB_ID-gw$k" lan0 "l$k" brl
		fleet_cable "$LAB_ID-gw$k" m0 "m$k" brm
		lab_addr "$LAB_ID-gw$k" m0 "192.0.2.$k/24"
		ip netns exec "$LAB_ID-gw$k" sysctl -q -w net.ipv6.conf.wan0.disable_ipv6=1 net.ipv6.conf.lan0.disable_ipv6=1
		ip -n "$SRV" route add "10.7.$k.0/24" via "10.20.0.$k"
	done
	CA=$LAB_DIR/ca
	"$LAB_CTL" ca init "$CA" >/dev/null || lab_die "ca init"
}

# fleet_cable NS DEV NAME BRIDGE
fleet_cable() {
	lab_veth "$1" "$2" "$NET" "$3"
	ip -n "$NET" link set "$3" master "$4"
}

# --- control planes ---------------------------------------------------------------------------------------------

# control_node N: namespace, certificate and state directory of control plane N.
control_node() {
	lab_netns "$LAB_ID-cp$1"
	fleet_cable "$LAB_ID-cp$1" eth0 "cp$1" brm
	lab_addr "$LAB_ID-cp$1" eth0 "192.0.2.$((100 + $1))/24"
	"$LAB_CTL" ca issue "$CA" --kind control --name "cp$1" --host "192.0.2.$((100 + $1))" --out "$LAB_DIR/cp$1" >/dev/null || lab_die "ca issue cp$1"
}

# control_run N OPTIONS...: start it (again) and wait until it is ready; its pid is in CP_PID[N].
control_run() {
	local n=$1
	shift
	ip netns exec "$LAB_ID-cp$n" "$CONTROL" run --state-dir "$LAB_DIR/state-cp$n" --name "cp$n" --rest "192.0.2.$((100 + n)):7443" \
		--repl "192.0.2.$((100 + n)):7444" --cert "$LAB_DIR/cp$n.pem" --key "$LAB_DIR/cp$n.key" --ca "$CA/ca.pem" \
		--public-url "https://192.0.2.$((100 + n)):7443" --allow-cert "$ALLOW" "$@" >>"$LAB_DIR/cp$n.log" 2>&1 </dev/null &
	CP_PID[n]=$!
	LAB_PIDS+=("${CP_PID[n]}")
	lab_wait 15 fleet_get "$n" readyz || lab_die "control plane $n is not ready: $(tail -n 3 "$LAB_DIR/cp$n.log")"
}

# fleet_get N PATH: a page that needs no login.
fleet_get() {
	ip netns exec "$LAB_ID-cp$1" curl -sf --cacert "$CA/ca.pem" "https://192.0.2.$((100 + $1)):7443/api/v1/$2"
}

# control_primary: node 1 with a new store; the admin's token is in LAB_DIR/admin.token.
control_primary() {
	control_node 1
	"$CONTROL" init --state-dir "$LAB_DIR/state-cp1" >"$LAB_DIR/init.out" 2>&1 || lab_die "init: $(cat "$LAB_DIR/init.out")"
	(umask 077 && grep -o 'slt_[A-Za-z0-9_]*' "$LAB_DIR/init.out" | head -1 >"$LAB_DIR/admin.token")
	[ -s "$LAB_DIR/admin.token" ] || lab_die "init told no token: $(cat "$LAB_DIR/init.out")"
	control_run 1
}

# control_follower N SOURCE: node N follows node SOURCE; it shares the pepper.
control_follower() {
	control_node "$1"
	"$CONTROL" init --follower --primary https://192.0.2.101:7443 --pepper "$LAB_DIR/state-cp1/pepper" --state-dir "$LAB_DIR/state-cp$1" \
		>"$LAB_DIR/init$1.out" 2>&1 || lab_die "init --follower: $(cat "$LAB_DIR/init$1.out")"
	control_run "$1" --mode follower --source "192.0.2.$((100 + $2)):7444"
}

# api N COMMAND...: sluicectl to control plane N as the admin.
api() {
	local n=$1
	shift
	ip netns exec "$LAB_ID-cp$n" "$LAB_CTL" --control "https://192.0.2.$((100 + n)):7443" --ca "$CA/ca.pem" --token-file "$LAB_DIR/admin.token" "$@"
}
# api_get N COMMAND... FIELD: one field of its JSON.
api_json() {
	local n=$1
	shift
	api "$n" -j "$@"
}

# --- gateways ---------------------------------------------------------------------------------------------------

# gateway_config K SOURCES...: sources are numbers of control planes, in order.
gateway_config() {
	local k=$1 s sources=
	shift
	for s in "$@"; do sources+="${sources:+, }{ host = \"192.0.2.$((100 + s))\"; port = 7444; }"; done
	[ -e "$LAB_DIR/gw$k.pem" ] || "$LAB_CTL" ca issue "$CA" --kind gateway --name "gw$k" --out "$LAB_DIR/gw$k" >/dev/null || lab_die "ca issue gw$k"
	[ -e "$LAB_DIR/wg$k.key" ] || lab_keys "wg$k"
	mkdir -p "$LAB_DIR/state-gw$k" "$LAB_RUN/gw$k"
	cat >"$LAB_DIR/gw$k.conf" <<-EOF
		instance = "$LAB_ID-$k";
		system = {
			workers = 1; idle = "sleep"; hugepages = "${FLEET_HUGE:-off}";
			state_dir = "$LAB_DIR/state-gw$k"; run_dir = "$LAB_RUN/gw$k"; ${FLEET_SYSTEM:-}
		};
		ports = (
			$(lab_port wan "${LAB_PORT_DRIVER}0,iface=wan0" "\"198.18.5.$((k + 1))/24\""),
			$(lab_port lan "${LAB_PORT_DRIVER}1,iface=lan0" "\"10.20.0.$k/24\"")
		);
		control = { uapi = false; };
		interfaces = (
			{
				name = "wg0"; listen_port = 51820; private_key_file = "$LAB_DIR/wg$k.key";
				addresses = [ "10.7.$k.1/24" ]; inside = { port = "lan"; }; peers = ();
			}
		);
		control_plane = {
			name = "gw$k"; sources = ( $sources ); interfaces = [ "wg0" ];
			ca_file = "$CA/ca.pem"; cert_file = "$LAB_DIR/gw$k.pem"; key_file = "$LAB_DIR/gw$k.key"; ${FLEET_CONTROL:-}
		};
		authz = { mode = "${LAB_MODE:-observe}"; };
	EOF
}

# gateway_run K: start it and wait until it answers; its pid is in GW_PID[K].
gateway_run() {
	local k=$1
	ip netns exec "$LAB_ID-gw$k" "$LAB_SLUICED" -c "$LAB_DIR/gw$k.conf" >>"$LAB_DIR/gw$k.log" 2>&1 </dev/null &
	GW_PID[k]=$!
	LAB_PIDS+=("${GW_PID[k]}")
	lab_wait 20 gw "$k" rpc.ping || lab_die "gateway $k is not ready: $(tail -n 3 "$LAB_DIR/gw$k.log")"
}
gateway_kill() {
	kill "-${2:-TERM}" "${GW_PID[$1]}"
	wait "${GW_PID[$1]}" 2>/dev/null
}

# gw K COMMAND...: sluicectl to gateway K.
gw() {
	local k=$1
	shift
	"$LAB_CTL" -s "$LAB_RUN/gw$k/mgmt.sock" "$@"
}
# gw_status K FIELD: of control.status.
gw_status() { gw "$1" -j control.status | jq -r ".$2"; }

# --- clients ----------------------------------------------------------------------------------------------------

# fleet_client NAME N: a namespace with outer address 198.18.5.(10+N) and a stock client without peers.
fleet_client() {
	local ns=$LAB_ID-$1
	lab_netns "$ns"
	fleet_cable "$ns" eth0 "c$2" br0
	lab_addr "$ns" eth0 "198.18.5.$((10 + $2))/24"
	lab_client_start "$1" "$2"
}
# client_use NAME N FILE: take a configuration as `wg-quick` writes them (address, peer); replaces the one before.
client_use() {
	local ns=$LAB_ID-$1 dev=$LAB_ID$2 a
	ip -n "$ns" addr flush dev "$dev"
	grep -vE '^(Address|DNS|MTU|#)' "$3" | wg setconf "$dev" /dev/stdin || fail "wg setconf $3"
	for a in $(sed -n 's/^Address *= *//p' "$3" | tr ',' ' '); do ip -n "$ns" addr add "$a" dev "$dev"; done
	ip -n "$ns" link set "$dev" up mtu 1420
	ip -n "$ns" route replace 10.20.0.0/16 dev "$dev"
}
