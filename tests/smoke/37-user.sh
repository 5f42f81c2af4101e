#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# As another user than root: state and learned endpoints are still written, keys of new sessions still locked; and
# directories that others may write to are refused.
. "$(dirname "$0")/lib.sh"

PEERS=300
lab_start
chmod 711 "$LAB_DIR" # the state directory is in it
lab_keys alice
step "directories that others may write to"
lab_config "$(lab_peer alice 2)"
for d in "$LAB_RUN" "$LAB_DIR/state"; do
	mkdir -p "$d"
	chmod 777 "$d"
	"$LAB_SLUICED" -c "$LAB_DIR/gateway.conf" >"$LAB_DIR/out" 2>&1 && fail "a start with $d open to all"
	grep -q "system/.*_dir.*others may write to $d" "$LAB_DIR/out" || fail "no such error: $(cat "$LAB_DIR/out")"
	chmod 700 "$d"
done

step "state and endpoints"
mkdir "$LAB_DIR/log"
chown nobody "$LAB_DIR/log"
LAB_SYSTEM='user = "nobody"; hugepages = "off"; memory_mb = 200;' lab_config "$(lab_peer alice 2)" \
	"audit = { sinks = ( { type = \"file\"; path = \"$LAB_DIR/log/audit.json\"; } ); };"
lab_gateway
lab_client alice 2
reach alice 10.20.0.10
rpc authz.mode.set '{"panic":"observe"}' >/dev/null || fail "the panic switch does not work"
equal "owner of the state" "$(stat -c %U "$LAB_DIR/state/authz-mode.json")" nobody
lab_wait 5 grep -q "$(lab_pub alice)" "$LAB_RUN/peers" || fail "no endpoint was saved: $(ls -l "$LAB_RUN")"

step "$PEERS sessions more: their keys are locked like the first"
ip -n "$NET" addr add 198.18.5.9/24 dev br0
ip netns exec "$NET" /usr/bin/python3 "$SMOKE/sessions.py" "$LAB_RUN/mgmt.sock" "$LAB_ID" "$(lab_pub gateway)" 198.18.5.2 $PEERS ||
	fail "not every peer got a session: $(rpc sys.mem)"
at_least "keypairs" "$(rpc sys.mem | jq .keypairs_live)" $PEERS
equal "locked" "$(rpc sys.mem | jq .key_arena_locked_bytes)" "$(rpc sys.mem | jq .key_arena_bytes)"
ping_all alice 10.20.0.10
lab_gateway_stop

step "the chain of its admin records goes on after a restart"
equal "key of the seals" "$(stat -c '%U %a' "$LAB_DIR/state/audit.key")" "nobody 600"
lab_gateway
rpc authz.mode.set '{"panic":"off"}' >/dev/null || fail "the panic switch does not work"
lab_gateway_stop
"$LAB_CTL" audit verify "$LAB_DIR/log/audit.json" >"$LAB_DIR/out" || fail "verify: $(cat "$LAB_DIR/out")"
equal "seals" "$(jq -r 'select(.event.action == "audit-seal").sluice.seal.why' "$LAB_DIR/log/audit.json" | tr '\n' ' ')" "start stop continue stop "
