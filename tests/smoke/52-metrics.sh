#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Metrics for Prometheus: read by its own parser they equal what the RPC tells and what docs/metrics.md lists, and grow with
# traffic; nothing but GET /metrics is served; names, keys and outer addresses stay in; a port that is taken is told and tried again.
. "$(dirname "$0")/lib.sh"

/usr/bin/python3 -c 'import prometheus_client' 2>/dev/null || skip "no python3-prometheus-client"
AT=127.0.0.1:9586
lab_start
lab_keys alice bob
# gateway SETTINGS: (again) with these metrics
FIRST="alice bob"
gateway() {
	lab_config "$(peers_text $FIRST)" "audit = { sinks = ( { type = \"file\"; path = \"$LAB_DIR/audit.json\"; } ); }; metrics = { $1 };"
	: >"$LAB_DIR/gateway.log"
	lab_gateway
}
get() { ip netns exec "$GW" curl -sS -m 10 "$@"; }
scrape() {
	sleep 1.1
	get "http://$AT/metrics" || fail "no metrics"
}
# sample SERIES: its value in the last scrape, by plain text
sample() { awk -v s="$1" '$1 == s {print $2}' "$LAB_DIR/scrape"; }
agrees() { ip netns exec "$GW" /usr/bin/python3 "$SMOKE/metrics.py" "$LAB_RUN/mgmt.sock" "$AT" >"$LAB_DIR/agrees" || fail "metrics and RPC differ"; }
# listed SECTION...: the last scrape has what docs/metrics.md lists in them, with these types and labels, and nothing else of it
listed() {
	local IFS=,
	/usr/bin/python3 "$SMOKE/metrics_doc.py" scrape "$SMOKE/../../docs/metrics.md" "$*" "$LAB_DIR/scrape" || fail "docs/metrics.md and the metrics differ"
}
status() { get -o /dev/null -w '%{http_code}' "$@"; }

gateway ""
lab_client alice 2
reach alice 10.20.0.10

step "the metrics equal what the RPC tells"
agrees
echo "   $(cat "$LAB_DIR/agrees") samples"

step "they are those of docs/metrics.md"
scrape >"$LAB_DIR/scrape"
listed Gateway "Gateway/Sinks of records" Gateway/Peers
grep -Eq '^sluice_build_info\{program="sluiced",version="[0-9.]+",commit="([0-9a-f]{12}|unknown)",dpdk="DPDK [^"]+"\} 1$' "$LAB_DIR/scrape" || fail "build: $(grep build_info "$LAB_DIR/scrape")"
at_least "packets of which the time is known" "$(sample 'sluice_forward_latency_seconds_count{worker="0"}')" 1
at_least "buffers" "$(sample 'sluice_mempool_size{pool="packets"}')" 1000
at_most "buffers in use" "$(sample 'sluice_mempool_in_use{pool="packets"}')" "$(sample 'sluice_mempool_size{pool="packets"}')"
at_least "flows" "$(sample 'sluice_flow_table_in_use{worker="0"}')" 1
equal "room for flows" "$(sample 'sluice_flow_table_size{worker="0"}')" 65536

step "they grow with traffic, to the packet"
opened='sluice_wg_decrypt_packets_total{result="ok"}' a=$(sample "$opened")
sealed='sluice_wg_encrypt_packets_total{result="ok"}' b=$(sample "$sealed")
denied='sluice_authz_denied_packets_total{mode="observe",verdict="allow",reason="any"}' c=$(sample "$denied")
ping_all alice 10.20.0.10 40 -i 0.05
scrape >"$LAB_DIR/scrape"
at_least "opened" "$(sample "$opened")" $((a + 40))
at_most "opened" "$(sample "$opened")" $((a + 45))
at_least "sealed" "$(sample "$sealed")" $((b + 40))
at_most "sealed" "$(sample "$sealed")" $((b + 45))
at_least "denied, observed" "$(sample "$denied")" $((c + 40))
equal "established" "$(sample "sluice_peers{interface=\"$LAB_ID\",state=\"established\"}")" 1
equal "observe" "$(sample 'sluice_authz_mode{target="default",mode="observe"}')" 1
rpc authz.mode.set '{"default":"enforce","force":true}' >/dev/null || fail "mode"
ping_none alice 10.20.0.10 2
scrape >"$LAB_DIR/scrape"
equal "enforce" "$(sample 'sluice_authz_mode{target="default",mode="enforce"}')" 1
at_least "denied, enforced" "$(sample 'sluice_authz_denied_packets_total{mode="enforce",verdict="deny",reason="no_role"}')" 2
agrees

step "what each rule decided; another policy keeps the counts of those that stay"
# policy ROLES RULES [TESTS]
policy() {
	rpc policy.load "$(jq -cn --arg t '{"version": 1, "zones": {"servers": {"id": 1, "type": "internal", "networks": ["10.20.0.0/16"]}},
		"roles": {'"$1"'}, "rules": ['"$2"'], "tests": ['"${3:-}"']}' '{text: $t}')" >/dev/null || fail "policy"
}
# what is kept of an answer is of before: it is asked again then
matches() { get "http://$AT/metrics" >"$LAB_DIR/scrape" && [ "$(sample "sluice_rule_matches_total{role=\"$1\",rule=\"$2\"}")" = "$3" ]; }
staff='"staff": {"members": ["peer:alice"]}'
ping='{"id": 7, "role": "staff", "to": ["10.20.0.10/32"], "protocol": "icmp", "action": "allow"}'
web='{"id": 9, "role": "staff", "to": ["10.20.0.10/32"], "protocol": "tcp", "ports": [80], "action": "allow"}'
policy "$staff" "$ping, $web"
for i in 1 2 3; do ping_all alice 10.20.0.10 2 -i 0.05; done # each has an identifier of its own: a flow
lab_wait 10 matches staff 7 3 || fail "flows of the rule: $(grep rule_ "$LAB_DIR/scrape")"
equal "a rule that decided nothing" "$(sample 'sluice_rule_matches_total{role="staff",rule="9"}')" 0
policy "\"early\": {\"members\": []}, $staff" "$web, $ping"
lab_wait 10 matches staff 7 3 || fail "after another policy: $(grep rule_ "$LAB_DIR/scrape")"
ping_all alice 10.20.0.10 2 -i 0.05
lab_wait 10 matches staff 7 4 || fail "under another policy: $(grep rule_ "$LAB_DIR/scrape")"
# the first packet of a flow comes with it, the others in a minute
at_least "packets of the rule" "$(sample 'sluice_rule_packets_total{role="staff",rule="7"}')" 4
at_most "packets of the rule" "$(sample 'sluice_rule_packets_total{role="staff",rule="7"}')" 16

step "a test of the document that held when it was loaded"
web="{\"id\": 9, \"role\": \"staff\", \"to\": [\"10.20.0.10/32\"], \"protocol\": \"tcp\", \"action\": \"allow\", \"expires\": \"$(date -u -d '+6 seconds' +%FT%TZ)\"}"
policy "$staff" "$ping, $web" '{"from": {"peer": "alice"}, "to": "10.20.0.10", "protocol": "tcp", "port": 22, "expect": "allow"}'
fails() { ! rpc policy.test >"$LAB_DIR/said" 2>&1; }
lab_wait 15 fails || fail "the test holds after the rule"
grep -q test_failed "$LAB_DIR/said" || fail "$(cat "$LAB_DIR/said")"
scrape >"$LAB_DIR/scrape"
equal "tests failed" "$(sample sluice_policy_tests_failed)" 1
lab_ctl health | grep -q 'not all tests of the policy hold: /tests/0' || fail "health does not tell: $(lab_ctl health)"
policy "$staff" "$ping"
scrape >"$LAB_DIR/scrape"
equal "tests of another policy" "$(sample sluice_policy_tests_failed)" 0

step "policies that are refused, by the reason"
for bad in '{' '{"roles": {"a b": {}}}' '{"roles": {"c d": {}}}'; do
	rpc policy.load "$(jq -cn --arg t "$bad" '{text: $t}')" >/dev/null 2>&1 && fail "a bad policy is in force: $bad"
done
rpc policy.validate "$(jq -cn '{text: "["}')" >/dev/null 2>&1 && fail "a bad policy is valid"
scrape >"$LAB_DIR/scrape"
equal "refused" "$(grep '^sluice_policy_rejected_total' "$LAB_DIR/scrape" | sort | tr '\n' ' ')" \
	'sluice_policy_rejected_total{code="json_syntax"} 1 sluice_policy_rejected_total{code="name_invalid"} 2 '
equal "the last one" "$(sample sluice_policy_refused)" 1
listed Gateway

step "TCP that would not fit the tunnel is made to fit"
tcp() { in_client alice timeout 2 bash -c 'exec 3<>/dev/tcp/10.20.0.10/8080'; }
background ip netns exec "$SRV" /usr/bin/python3 -m http.server --bind 10.20.0.10 8080 >/dev/null 2>&1
rpc authz.mode.set '{"default":"observe"}' >/dev/null || fail "observe"
lab_wait 10 tcp || fail "no TCP"
scrape >"$LAB_DIR/scrape"
at_least "SYNs" "$(sample sluice_mss_clamped_total)" 1

step "an answer is kept for a second"
sleep 1.1
get "http://$AT/metrics" "http://$AT/metrics" >"$LAB_DIR/twice" || fail "no metrics"
equal "two answers at once" "$(sort "$LAB_DIR/twice" | uniq -c | awk '$1 % 2' | wc -l)" 0

step "nothing but GET /metrics"
equal "metrics" "$(status "http://$AT/metrics")" 200
equal "root" "$(status "http://$AT/")" 404
equal "another path" "$(status "http://$AT/metrics/x")" 404
equal "POST" "$(status -d x=y "http://$AT/metrics")" 405
equal "DELETE" "$(status -X DELETE "http://$AT/metrics")" 405

step "no name, key, outer address"
for secret in alice bob "$(lab_pub alice)" "$(lab_pub gateway)" "$(cat "$LAB_DIR/gateway.key")" 198.18.5. 2001:db8:5; do
	! grep -qF -- "$secret" "$LAB_DIR/scrape" || fail "in the metrics: $secret"
done
equal "series of peers" "$(grep -c '^sluice_peer_receive_bytes_total{' "$LAB_DIR/scrape")" 2
equal "no warning on loopback" "$(grep -c 'not a loopback' "$LAB_DIR/gateway.log")" 0

step "a second gateway on the host: its port is taken, and told; it serves all the same"
ip netns exec "$GW" "$LAB_SLUICED" --check -c "$LAB_DIR/gateway.conf" >/dev/null || fail "--check"
lab_gateway_stop
background ip netns exec "$GW" /usr/bin/python3 -m http.server --bind 127.0.0.1 9586
holder=$LAB_LAST
lab_wait 5 listens "$GW" 9586 || fail "nobody holds the port"
gateway "listen = \"$AT\";"
grep -q 'metrics.*/metrics/listen: cannot listen on 127.0.0.1:9586: Address already in use' "$LAB_DIR/gateway.log" || fail "not told"
lab_ctl health | grep -q 'nobody can scrape' || fail "not in health: $(lab_ctl health)"
rpc authz.mode.set '{"default":"observe"}' >/dev/null || fail "mode"
client_forgets alice 2
reach alice 10.20.0.10

step "it is tried again, and works when the port is free"
stop_pid "$holder"
lab_wait 30 listens "$GW" 9586 || fail "it does not listen"
scrape >"$LAB_DIR/scrape"
lab_ctl health | grep -q 'nobody can scrape' && fail "still in health"
equal "how often it was told" "$(grep -c 'nobody can scrape' "$LAB_DIR/gateway.log")" 1
lab_gateway_stop

step "names where they are wanted; a limit; an address that is not of loopback"
ip -n "$GW" addr add 192.0.2.1/32 dev lo
AT=192.0.2.1:9600
FIRST="bob alice"
gateway "listen = \"$AT\"; peer_limit = 1; peer_names = true; compat = \"mindflavor\";"
client_forgets alice 2
ping_none alice 10.20.0.99 2 # nobody there, but alice has traffic, and bob, who is the first one, none
grep -q '192.0.2.1:9600 is not a loopback address' "$LAB_DIR/gateway.log" || fail "not warned: $(cat "$LAB_DIR/gateway.log")"
scrape >"$LAB_DIR/scrape"
equal "series of peers" "$(grep -c '^sluice_peer_receive_bytes_total{' "$LAB_DIR/scrape")" 1
equal "names" "$(grep -c '^sluice_peer_info{.*name="alice"} 1$' "$LAB_DIR/scrape")" 1
equal "omitted" "$(sample sluice_metrics_peers_omitted)" 1
listed Gateway "Gateway/Sinks of records" Gateway/Peers "Gateway/Names of peers" "Gateway/Like MindFlavor's exporter"
labels="{interface=\"$LAB_ID\",public_key=\"$(lab_pub alice)\",allowed_ips=\"$(peer_of alice 'allowed_ips | join(",")')\",friendly_name=\"alice\"}"
equal "handshake, as wg tells it" "$(sample "wireguard_latest_handshake_seconds$labels")" "$(ip netns exec "$GW" wg show "$LAB_ID" latest-handshakes | awk -v k="$(lab_pub alice)" '$1 == k {print $2}')"
at_least "received" "$(sample "wireguard_received_bytes_total$labels")" 148
at_least "sent" "$(sample "wireguard_sent_bytes_total$labels")" 92
for secret in "$(cat "$LAB_DIR/gateway.key")" "$(lab_pub gateway)" 198.18.5.; do
	! grep -qF -- "$secret" "$LAB_DIR/scrape" || fail "in the metrics: $secret"
done
lab_gateway_stop

step "without peers"
AT=127.0.0.1:9586 FIRST="alice bob"
gateway "peers = false;"
scrape >"$LAB_DIR/scrape"
equal "series of peers" "$(grep -c '^sluice_peer_' "$LAB_DIR/scrape")" 0
equal "omitted" "$(sample sluice_metrics_peers_omitted)" 2
agrees
lab_gateway_stop

step "off unless configured"
lab_config "$(peers_text alice bob)"
lab_gateway
! listens "$GW" 9586 || fail "a listener without metrics"
lab_ctl health | grep -q 'scrape' && fail "health speaks of metrics"
:
