#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Metrics for Prometheus: read by its own parser they equal what the RPC tells and grow with traffic; nothing but GET /metrics is
# served; names, keys and outer addresses stay in; a port that is taken and an address that is not of loopback are told.
. "$(dirname "$0")/lib.sh"

/usr/bin/python3 -c 'import prometheus_client' 2>/dev/null || skip "no python3-prometheus-client"
AT=127.0.0.1:9586
lab_start
lab_keys alice bob
# gateway SETTINGS: (again) with these metrics
gateway() {
	lab_config "$(peers_text alice bob)" "audit = { sinks = ( { type = \"file\"; path = \"$LAB_DIR/audit.json\"; } ); }; metrics = { $1 };"
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
status() { get -o /dev/null -w '%{http_code}' "$@"; }

gateway ""
lab_client alice 2
reach alice 10.20.0.10

step "the metrics equal what the RPC tells"
agrees
echo "   $(cat "$LAB_DIR/agrees") samples"

step "they grow with traffic, to the packet"
scrape >"$LAB_DIR/scrape"
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
stop_pid "$holder"
lab_gateway_stop

step "names where they are wanted; a limit; an address that is not of loopback"
ip -n "$GW" addr add 192.0.2.1/32 dev lo
AT=192.0.2.1:9600
gateway "listen = \"$AT\"; peer_limit = 1; peer_names = true;"
grep -q '192.0.2.1:9600 is not a loopback address' "$LAB_DIR/gateway.log" || fail "not warned: $(cat "$LAB_DIR/gateway.log")"
scrape >"$LAB_DIR/scrape"
equal "series of peers" "$(grep -c '^sluice_peer_receive_bytes_total{' "$LAB_DIR/scrape")" 1
equal "names" "$(grep -c '^sluice_peer_info{.*name="alice"} 1$' "$LAB_DIR/scrape")" 1
equal "omitted" "$(sample sluice_metrics_peers_omitted)" 1
lab_gateway_stop

step "without peers"
AT=127.0.0.1:9586
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
