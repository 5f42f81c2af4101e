# SPDX-License-Identifier: BSD-3-Clause
# A gateway under a sluice-control of its own, over the lab of the smoke tests. Both run in the gateway's namespace.
CONTROL_TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$CONTROL_TESTS/../smoke/lib.sh"
SLUICE_CONTROL=$LAB_BUILD/app/control/sluice-control

# control_init: a new data store, its first token in CP_TOKEN.
control_init() {
	CP_DIR=$LAB_DIR/control
	mkdir -m 0700 "$CP_DIR"
	CP_TOKEN=$(umask 077 && "$SLUICE_CONTROL" init --state-dir "$CP_DIR" 2>&1 | grep -oE 'slt_[0-9A-Za-z]{10}_[0-9A-Za-z]{43}' | head -n 1)
	[ -n "$CP_TOKEN" ] || fail "sluice-control init shows no token"
}

# control_start: serve; its process in CP_PID.
control_start() {
	ip netns exec "$GW" "$SLUICE_CONTROL" run --state-dir "$CP_DIR" --rest 127.0.0.1:7443 --repl 127.0.0.1:7444 --name cp1 \
		"$@" >>"$LAB_DIR/control.log" 2>&1 </dev/null &
	CP_PID=$!
	LAB_PIDS+=("$CP_PID")
	lab_wait 10 listens "$GW" 7444 || fail "sluice-control does not listen: $(tail -n 3 "$LAB_DIR/control.log")"
	lab_wait 10 listens "$GW" 7443 || fail "sluice-control does not listen: $(tail -n 3 "$LAB_DIR/control.log")"
}

# rest METHOD PATH [BODY]: the answer's body; a status of 400 and more is a failure of the test.
rest() {
	ip netns exec "$GW" /usr/bin/python3 -S "$CONTROL_TESTS/rest.py" "$CP_DIR" "$CP_TOKEN" "$@" || fail "$1 $2"
}

# control_config NAME [SETTINGS]: a gateway.conf whose one interface is managed.
control_config() {
	local name=$1
	(umask 077 && rest POST /tokens "{\"roles\":[\"gateway\"],\"bound\":\"$name\"}" | jq -r .token >"$LAB_DIR/$name.token")
	LAB_SYSTEM=${LAB_SYSTEM:-} lab_config "" "control_plane = {
		name = \"$name\"; sources = ( ${SOURCES:-{ host = \"127.0.0.1\"; port = 7444; \}} );
		ca_file = \"$CP_DIR/tls/ca.pem\"; token_file = \"$LAB_DIR/$name.token\";
		interfaces = [ \"$LAB_ID\" ]; stats_s = 1; ${2:-}
	};"
}

# control_furnish NAME: the interface and the gateway, a policy under which role eng reaches the server.
control_furnish() {
	rest POST /interfaces "{\"name\":\"$LAB_ID\",\"listen_port\":51820}" >/dev/null
	rest POST /gateways "{\"name\":\"$1\",\"interfaces\":[\"$LAB_ID\"]}" >/dev/null
	rest POST /gateway-interfaces "{\"gateway\":\"$1\",\"interface\":\"$LAB_ID\",\"index\":1,\"endpoint\":\"198.18.5.2:51820\",
		\"addresses\":[\"10.7.0.1/16\",\"fd00:7::1/64\"],\"client_pool\":[\"10.7.0.0/16\"]}" >/dev/null
	rest PUT /policy "{\"zones\":{\"in\":{\"id\":1,\"type\":\"internal\",\"networks\":[\"10.20.0.0/24\"]}},
		\"targets\":{\"srv\":{\"addresses\":[\"10.20.0.10/32\"]}},
		\"roles\":{\"eng\":{\"id\":1},\"guest\":{\"id\":2}},
		\"rules\":[{\"id\":1,\"role\":\"eng\",\"to\":[\"srv\"],\"protocol\":\"any\",\"action\":\"allow\"}]}" >/dev/null
}

# add_peer NAME N [ROLES]
add_peer() {
	rest POST /peers "{\"name\":\"$1\",\"interface\":\"$LAB_ID\",\"public_key\":\"$(lab_pub "$1")\",
		\"allowed_ips\":[\"10.7.0.$2/32\",\"fd00:7::$2/128\"],\"roles\":${3:-[\"eng\"]}}" >/dev/null
}

# status FIELD: of the link, as the gateway tells.
status() { rpc control.status | jq -r ".$1"; }
is() { [ "$(status "$1")" = "$2" ]; }
# served: the gateway serves what the control plane has.
served() { [ "$(status serving_seq)" = "$(rest GET /replication | jq .seq)" ]; }
