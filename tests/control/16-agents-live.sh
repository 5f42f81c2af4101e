#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 90
# Agents with stock WireGuard and the file that the control plane gives: each reaches the gateway in its own network, and no other
# agent; none sends from the gateway's addresses or another's; a network is the gateway's, and in a zone of type vpn, as long as its
# agent is there.
. "$(dirname "$0")/gateway_lib.sh"

lab_start
lab_keys a b
control_init
control_start
control_furnish gw-1
LAB_MODE=observe control_config gw-1
lab_gateway
ip -n "$SRV" route add 10.1.0.0/16 via 10.20.0.1
key_known() { [ "$(rest GET "/gateway-interfaces/gw-1:$LAB_ID" | jq -r '.public_key // empty')" = "$(lab_pub gateway)" ]; }
lab_wait 10 key_known || fail "the gateway has not told its key"

# agent NAME N: made over REST, its file as it comes but for the private key.
agent() {
	local ns=$LAB_ID-$1 dev=$LAB_ID$2 address
	rest POST "/peers?allocate=agent" "{\"name\":\"$1\",\"interface\":\"$LAB_ID\",\"public_key\":\"$(lab_pub "$1")\"}" >/dev/null
	rest GET "/peers/$1/config" | jq -r .text >"$LAB_DIR/$1.conf"
	address=$(sed -n 's/^Address = //p' "$LAB_DIR/$1.conf")
	lab_client_host "$1" "$2"
	(umask 077 && sed -e '/^Address/d' -e "/^\[Interface\]/a PrivateKey = $(cat "$LAB_DIR/$1.key")" "$LAB_DIR/$1.conf" >"$LAB_DIR/$1.set")
	wg setconf "$dev" "$LAB_DIR/$1.set" || fail "wg does not take the file: $(cat "$LAB_DIR/$1.conf")"
	ip -n "$ns" addr add "$address" dev "$dev"
	ip -n "$ns" link set "$dev" up mtu 1420
}

step "each agent reaches the gateway, in the network that is its own"
agent a 2
agent b 3
lab_wait 5 served || fail "not served: $(rpc control.status)"
reach a 10.1.0.1
reach b 10.2.0.1
ping_all a 10.1.0.1 5
ping_all b 10.2.0.1 5
equal "AllowedIPs at the gateway" "$(peer_of a 'allowed_ips | join(" ")') $(peer_of b 'allowed_ips | join(" ")')" "10.1.0.100/32 10.2.0.100/32"
no_fatal_drops

step "no agent reaches another one, whatever it routes and asks its own WireGuard to send; in observe too"
for n in 2 3; do wg set "$LAB_ID$n" peer "$(lab_pub gateway)" allowed-ips 10.0.0.0/8,10.20.0.0/16; done
ip -n "$LAB_ID-a" route add 10.0.0.0/8 dev "${LAB_ID}2"
ip -n "$LAB_ID-b" route add 10.0.0.0/8 dev "${LAB_ID}3"
before=$(drop isolation)
ping_none a 10.2.0.100 3
ping_none b 10.1.0.100 3
at_least "dropped by isolation" $(($(drop isolation) - before)) 6

step "nor sends from what is the gateway's, another gateway's or another agent's"
for from in 10.1.0.1 10.1.0.2 10.1.0.101 10.2.0.100; do
	before=$(drop spoofed_source)
	ip -n "$LAB_ID-a" addr add "$from/32" dev "${LAB_ID}2"
	ping_none a 10.20.0.10 2 -I "$from"
	at_least "dropped from $from" $(($(drop spoofed_source) - before)) 2
	ip -n "$LAB_ID-a" addr del "$from/32" dev "${LAB_ID}2"
done
reach a 10.20.0.10 # from its own, in observe

step "networks of agents are a zone of type vpn, though the document calls 10.0.0.0/8 internal and lets whoever has a role in there"
document="{\"zones\":{\"in\":{\"id\":1,\"type\":\"internal\",\"networks\":[\"10.0.0.0/8\"],\"default_policy\":\"allow\"},
	\"clients\":{\"id\":2,\"type\":\"vpn\",\"networks\":[\"10.7.0.0/16\"]}},
	\"targets\":{\"srv\":{\"addresses\":[\"10.20.0.10/32\"]}},
	\"roles\":{\"eng\":{\"id\":1},\"guest\":{\"id\":2},\"servers\":{\"id\":3,\"members\":[\"10.20.0.10/32@*\"]}},
	\"rules\":[{\"id\":1,\"role\":\"eng\",\"to\":[\"srv\"],\"protocol\":\"any\",\"action\":\"allow\"}]}"
networks() { rpc zone.list | jq -r '.zones[] | select(.zone == "agent-networks") | .type, .default_policy, .networks[]' | xargs; }
networks_are() { [ "$(networks)" = "$1" ]; }
rest PUT /policy "$document" >/dev/null
lab_wait 5 networks_are "vpn deny 10.1.0.0/24@$LAB_ID 10.2.0.0/24@$LAB_ID" || fail "networks of agents: $(networks)"
to() {
	rpc policy.explain "{\"interface\":\"$LAB_ID\",\"from\":\"inside\",\"src\":\"10.20.0.10\",\"dst\":\"$1\",\"protocol\":\"icmp\"}" |
		jq -r '"\(.verdict) \(.why) \(.zone)"'
}
equal "to an address that is no agent's" "$(to 10.5.0.100)" "allow zone_default in"
equal "to an agent" "$(to 10.1.0.100)" "deny zone_default agent-networks"
rpc authz.mode.set '{"default":"enforce","force":true}' >/dev/null || fail "authz.mode.set"
ip netns exec "$SRV" ping -c 2 -i 0.2 -W 0.3 10.1.0.100 >/dev/null && fail "the server reaches the agent by the default of a wider zone"
record() {
	rpc audit.recent '{"limit":1024}' | jq -r '[.records[] | select(.destination.ip? == "10.1.0.100" and .source.ip? == "10.20.0.10")] | last |
		"\(.event.type | if type == "array" then join(" ") else . end) \(.event.reason) \(.sluice.zone)"'
}
is_record() { [ "$(record)" = "connection denied zone_default agent-networks" ]; }
lab_wait 5 is_record || fail "the record says: $(record)"
seen() { rpc policy.would_deny '{}' | jq -e 'any(.rows[]; .from == "inside" and .dst == "10.1.0.100")' >/dev/null; }
lab_wait 10 seen || fail "no evidence of it: $(rpc policy.would_deny '{}')"
replay=$(jq -n --arg t "$document" '{text: $t, window_s: 600}')
equal "changed by the same document" "$(rpc policy.replay "$replay" | jq -c '[.rows[].change]')" "[]"
equal "zones of a suggested document" "$(rpc policy.suggest '{"min_flows":1}' | jq -r .candidate | jq -c '.zones | keys')" '["clients","in"]'
rpc authz.mode.set '{"default":"observe"}' >/dev/null || fail "authz.mode.set"
refused=$(ip netns exec "$GW" /usr/bin/python3 -S "$CONTROL_TESTS/rest.py" "$CP_DIR" "$CP_TOKEN" PUT /policy "${document/10.0.0.0\/8/10.1.0.64\/26}" 2>&1) &&
	fail "a document calls some of an agent's network internal"
[[ $refused == *pool_in_internal_zone* ]] || fail "refused for another reason: $refused"

step "a role for some seconds: its end is an event of its own"
rpc sys.log_level.set '{"level":"info"}' >/dev/null || fail "log level"
until=$(date -u -d '+3 seconds' +%Y-%m-%dT%H:%M:%SZ)
rest POST /role-maps "{\"role\":\"eng\",\"member\":\"peer:a\",\"interface\":\"$LAB_ID\",\"expires_at\":\"$until\",
	\"source\":{\"type\":\"dynamic\",\"reason\":\"CHG-1\"}}" >/dev/null
verdict() { rpc policy.explain "{\"interface\":\"$LAB_ID\",\"peer\":\"a\",\"dst\":\"10.20.0.10\",\"protocol\":\"icmp\"}" | jq -r .verdict; }
is_verdict() { [ "$(verdict)" = "$1" ]; }
lab_wait 4 is_verdict allow || fail "the role is not there: $(verdict)"
lab_wait 20 grep -q 'members_expired: {"count":1,"members":\[{"role":"eng","member":"peer:a","state":"expired"}\]}' "$LAB_DIR/gateway.log" || fail "no event: $(tail -n 5 "$LAB_DIR/gateway.log")"
lab_wait 2 is_verdict deny || fail "the role goes on"

step "an agent that is removed: so is the gateway's address in its network, and the network is given anew"
rest DELETE /peers/a >/dev/null
gone() { ! rpc interface.list | grep -q '10\.1\.0\.1/'; }
lab_wait 5 gone || fail "the gateway still has the address: $(rpc interface.list)"
lab_wait 5 networks_are "vpn deny 10.2.0.0/24@$LAB_ID" || fail "networks of agents: $(networks)"
ping_none a 10.1.0.1 2
ping_all b 10.2.0.1 3
lab_keys c
agent c 4
reach c 10.1.0.1
lab_wait 5 networks_are "vpn deny 10.1.0.0/24@$LAB_ID 10.2.0.0/24@$LAB_ID" || fail "networks of agents: $(networks)"

step "the control plane is gone: a gateway that starts from its boot cache has the zone"
lab_wait 5 served || fail "not served: $(rpc control.status)"
stop_pid "$CP_PID"
lab_gateway_stop
lab_gateway
lab_wait 10 is stale_config true || fail "the cache does not serve: $(rpc control.status)"
lab_wait 5 networks_are "vpn deny 10.1.0.0/24@$LAB_ID 10.2.0.0/24@$LAB_ID" || fail "networks of agents: $(networks)"
equal "to an agent" "$(to 10.1.0.100)" "deny zone_default agent-networks"
echo ok
