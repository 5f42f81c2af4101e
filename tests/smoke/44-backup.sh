#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What only this gateway knows: kept while it runs, lost, put back. Modes, policy, keys and a session afterwards.
. "$(dirname "$0")/lib.sh"

lab_start
lab_keys alice
(umask 077 && wg genpsk >"$LAB_DIR/alice.psk")
lab_config "$(lab_peer alice 2 "preshared_key_file = \"$LAB_DIR/alice.psk\";")"
lab_gateway
lab_client alice 2
wg set "${LAB_ID}2" peer "$(lab_pub gateway)" preshared-key "$LAB_DIR/alice.psk"
keep() { "$LAB_SLUICED" -c "$LAB_DIR/gateway.conf" "$@"; }
# refused REASON COMMAND...
refused() {
	local reason=$1
	shift
	"$@" >"$LAB_DIR/said" 2>&1 && fail "$* is carried out"
	grep -q "\[$reason\]" "$LAB_DIR/said" || fail "$*: wanted $reason, got: $(cat "$LAB_DIR/said")"
	grep -q 'remedy:' "$LAB_DIR/said" || fail "$*: no remedy: $(cat "$LAB_DIR/said")"
}
sums() { (cd "$LAB_DIR" && sha256sum gateway.key alice.psk state/authz-mode.json state/policy.json state/control-revoked state/psk/carol); }

step "a state of its own"
cat >"$LAB_DIR/policy.json" <<-EOF
	{"version": 7,
	 "zones": {"lan": {"id": 1, "type": "internal", "networks": ["10.20.0.0/24"]}},
	 "targets": {"web": {"addresses": ["10.20.0.10/32"]}},
	 "roles": {"staff": {"members": ["peer:alice"]}},
	 "rules": [{"id": 1, "role": "staff", "to": ["web"], "protocol": "icmp", "action": "allow"}]}
EOF
lab_ctl policy load "$LAB_DIR/policy.json" >/dev/null || fail "policy load"
rpc authz.mode.set '{"default":"enforce","force":true}' >/dev/null || fail "authz.mode.set"
rpc log.enabled.set '{"enabled":false}' >/dev/null || fail "log.enabled.set"
mkdir -m 700 "$LAB_DIR/state/psk"
(umask 077 && wg genpsk >"$LAB_DIR/state/psk/carol")
(umask 077 && echo 'epoch 3 0123456789abcdef0123456789abcdef' >"$LAB_DIR/state/control-revoked")
reach alice 10.20.0.10

step "backup while it runs"
keep --backup "$LAB_DIR/gw.backup" >"$LAB_DIR/said" || fail "$(cat "$LAB_DIR/said")"
sums >"$LAB_DIR/sums"
equal "mode" "$(stat -c %a "$LAB_DIR/gw.backup")" 600
for f in state/authz-mode.json state/policy.json state/control-revoked state/psk/carol "key/$LAB_ID" "psk/$LAB_ID/alice"; do
	grep -q "^ *$f *saved" "$LAB_DIR/said" || fail "$f is not kept: $(cat "$LAB_DIR/said")"
done
grep -qE 'state/(peers|evidence)' "$LAB_DIR/said" && fail "endpoints or counts are kept"
endpoint=$(peer_of alice endpoint)
[ -n "$endpoint" ] || fail "alice has no endpoint"
grep -qaF "${endpoint%:*}" "$LAB_DIR/gw.backup" && fail "the backup holds $endpoint"
step "no file is written over, a running gateway is left alone"
refused exists keep --backup "$LAB_DIR/gw.backup"
refused instance_running keep --restore "$LAB_DIR/gw.backup"
lab_gateway_stop

step "what is there and differs stays"
keep --restore "$LAB_DIR/gw.backup" >"$LAB_DIR/said" || fail "restore over the same: $(cat "$LAB_DIR/said")"
grep -q 'state/authz-mode.json *as it was' "$LAB_DIR/said" || fail "$(cat "$LAB_DIR/said")"
sed -i 's/"enforce"/"observe"/' "$LAB_DIR/state/authz-mode.json"
refused state_present keep --restore "$LAB_DIR/gw.backup"
grep -q observe "$LAB_DIR/state/authz-mode.json" || fail "a refused restore changed a file"
echo 'epoch 4 0123456789abcdef0123456789abcdef' >>"$LAB_DIR/state/control-revoked"
keep --restore "$LAB_DIR/gw.backup" --force >"$LAB_DIR/said" || fail "$(cat "$LAB_DIR/said")"
grep -q 'enforce' "$LAB_DIR/state/authz-mode.json" || fail "--force did not put the modes back"
grep -q 'epoch 4' "$LAB_DIR/state/control-revoked" || fail "revocations were taken back"

step "a damaged, a short and a foreign backup change nothing"
for where in 40 -200 -5; do
	/usr/bin/python3 - "$LAB_DIR/gw.backup" "$LAB_DIR/bad.backup" $where <<-'EOF'
		import sys
		b = bytearray(open(sys.argv[1], "rb").read())
		b[int(sys.argv[3])] ^= 1
		open(sys.argv[2], "wb").write(b)
	EOF
	refused backup_broken keep --restore "$LAB_DIR/bad.backup"
done
head -c -1 "$LAB_DIR/gw.backup" >"$LAB_DIR/bad.backup"
refused backup_broken keep --restore "$LAB_DIR/bad.backup"
refused backup_foreign keep --restore "$LAB_DIR/gw.backup" --instance "${LAB_ID}x"
refused file keep --restore "$LAB_DIR/no.backup"

step "all is lost, and comes back"
rm -rf "$LAB_DIR/state" "$LAB_DIR/gateway.key" "$LAB_DIR/alice.psk"
keep --restore "$LAB_DIR/gw.backup" >"$LAB_DIR/said" || fail "restore: $(cat "$LAB_DIR/said")"
sums | diff - "$LAB_DIR/sums" || fail "other files came back"
equal "modes of files" "$(stat -c %a "$LAB_DIR"/{gateway.key,alice.psk,state,state/authz-mode.json,state/psk,state/psk/carol} | xargs)" \
	"600 600 700 600 700 600"
lab_gateway
equal "mode" "$(rpc authz.mode.get | jq -r '.default, .from_state' | xargs)" "enforce true"
equal "logging" "$(rpc log.enabled.get | jq -r .enabled)" false
equal "policy" "$(rpc policy.show | jq -r ".rules[].rule")" staff/1
wg set "${LAB_ID}2" peer "$(lab_pub gateway)" endpoint 198.18.5.2:51820
reach alice 10.20.0.10 20
ping_all alice 10.20.0.10
ping_none alice 10.20.0.11 2
lab_gateway_stop
no_secrets=$(strings -a "$LAB_DIR/gateway.log" | grep -cF "$(cat "$LAB_DIR/gateway.key")")
equal "keys in the log" "$no_secrets" 0
