#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# sluicectl ca: certificates of components, from an empty directory to a TLS 1.3 connection with both sides verified.
. "$(dirname "$0")/../smoke/lib.sh"
DIR=$(mktemp -d)
PIDS=()
trap 'for p in "${PIDS[@]}"; do kill "$p" 2>/dev/null; done; rm -rf "$DIR"' EXIT
TOP=$(cd "$(dirname "$0")/../.." && pwd)
ca() { "$TOP/build/tools/sluicectl/sluicectl" ca "$@"; }

step "init, issue, and what may not be overwritten"
ca init "$DIR/ca" >/dev/null || fail "ca init"
ca init "$DIR/ca" >/dev/null 2>"$DIR/err" && fail "a second init overwrote the authority"
equal "status of a second init" "$(ca init "$DIR/ca" >/dev/null 2>&1; echo $?)" 6
ca issue "$DIR/ca" --kind control --name cp1 --host 127.0.0.1 --host cp1.example.net --out "$DIR/cp1" >/dev/null || fail "issue cp1"
ca issue "$DIR/ca" --kind gateway --name gw1 --out "$DIR/gw1" >/dev/null || fail "issue gw1"
equal "mode of a key" "$(stat -c %a "$DIR/gw1.key")" 600
ca issue "$DIR/ca" --kind gateway --name gw1 --out "$DIR/gw1" >/dev/null 2>"$DIR/err" && fail "a key was overwritten"
grep -q remedy "$DIR/err" || fail "no remedy: $(cat "$DIR/err")"
ca issue "$DIR/ca" --kind gateway --name 'gw;1' --out "$DIR/x" >/dev/null 2>&1 && fail "a bad name was signed"

step "both sides of a connection believe each other"
openssl s_server -accept 127.0.0.1:0 -naccept 3 -tls1_3 -cert "$DIR/cp1.pem" -key "$DIR/cp1.key" -CAfile "$DIR/ca/ca.pem" -Verify 1 \
	-verify_return_error -quiet >"$DIR/server" 2>&1 </dev/null &
PIDS+=($!)
for _ in {1..50}; do
	PORT=$(ss -Hltnp 2>/dev/null | grep "pid=${PIDS[0]}," | sed -E 's/.*127\.0\.0\.1:([0-9]+) .*/\1/')
	[ -n "$PORT" ] && break
	sleep 0.1
done
[ -n "$PORT" ] || skip "openssl s_server does not listen here"
hello() { openssl s_client -connect "127.0.0.1:$PORT" -tls1_3 -CAfile "$DIR/ca/ca.pem" -verify_ip 127.0.0.1 -verify_return_error "$@" </dev/null 2>&1; }
hello -cert "$DIR/gw1.pem" -key "$DIR/gw1.key" | grep -q 'Verify return code: 0 (ok)' || fail "gw1 is not believed: $(cat "$DIR/server")"

step "renewal keeps the name, and the key unless a new one is wanted"
before=$(openssl x509 -in "$DIR/gw1.pem" -noout -pubkey -serial -ext subjectAltName)
ca renew "$DIR/ca" "$DIR/gw1.pem" --days 90 >/dev/null || fail renew
after=$(openssl x509 -in "$DIR/gw1.pem" -noout -pubkey -serial -ext subjectAltName)
equal "key and name" "$(grep -v serial <<<"$after")" "$(grep -v serial <<<"$before")"
[ "$before" != "$after" ] || fail "the serial number stayed"
ca renew "$DIR/ca" "$DIR/gw1.pem" --new-key "$DIR/gw1.key" >/dev/null || fail "renew with a new key"
hello -cert "$DIR/gw1.pem" -key "$DIR/gw1.key" | grep -q 'Verify return code: 0 (ok)' || fail "the renewed gw1 is not believed"
equal "rows of the list" "$(ca list "$DIR/ca" | tail -n +2 | wc -l)" 4
