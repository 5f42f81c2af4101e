#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 180
# sluicectl against the control plane: commands, keys made on this machine, the QR code read back by another program, import,
# bad input, and where a private key must not be.
. "$(dirname "$0")/../smoke/lib.sh"
DIR=$(mktemp -d)
PID= EVIL=
trap '[ -z "$PID" ] || kill "$PID" $EVIL 2>/dev/null; wait; rm -rf "$DIR"' EXIT
CONTROL=$LAB_BUILD/app/control/sluice-control
"$CONTROL" init --state-dir "$DIR/state" >"$DIR/init" || fail "init"
(umask 077 && grep -o 'slt_[A-Za-z0-9_]*' "$DIR/init" | head -1 >"$DIR/token")
"$CONTROL" run --state-dir "$DIR/state" --rest 127.0.0.1:0 --repl 127.0.0.1:0 --name cp1 >"$DIR/log" 2>&1 &
PID=$!
lab_wait 15 grep -q 'is ready' "$DIR/log" || fail "the server is not ready: $(cat "$DIR/log")"
URL=$(grep -o 'https://127.0.0.1:[0-9]*' "$DIR/log" | head -1)
export SLUICE_CONTROL=$URL SLUICE_TOKEN_FILE=$DIR/token SLUICE_CA_FILE=$DIR/state/tls/ca.pem
ctl() { OUT=$("$LAB_CTL" "$@" 2>&1) || fail "sluicectl $*: $OUT"; }
ctl_fails() { # STATUS REASON COMMAND...
	local want=$1 reason=$2 rc
	shift 2
	OUT=$("$LAB_CTL" "$@" 2>&1)
	rc=$?
	equal "status of $*" $rc "$want"
	grep -q -- "$reason" <<<"$OUT" || fail "sluicectl $*: no \"$reason\" in: $OUT"
}
ctl_tells() { # STATUS JQ-FILTER COMMAND...: with -j one JSON value tells why
	local want=$1 filter=$2 rc
	shift 2
	OUT=$("$LAB_CTL" -j "$@" 2>/dev/null)
	rc=$?
	equal "status of -j $*" $rc "$want"
	jq -se "length == 1 and (.[0] | $filter)" <<<"$OUT" >/dev/null || fail "sluicectl -j $*: not \"$filter\": $OUT"
}
has() { grep -qE -- "$1" <<<"$OUT" || fail "no \"$1\" in: $OUT"; }

step "objects: add, show, set, lists, help"
ctl whoami; has 'admin'
ctl peers; has '^none'
ctl interface add wg0 mtu=1420
ctl gateway add gw-a interfaces=wg0
ctl gateway add gw-b interfaces=wg0
ctl endpoint add gw-a:wg0 gw-a wg0 endpoint=198.51.100.1:51820 client_pool=10.7.1.0/24 index=1 public_key=xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
ctl endpoint add gw-b:wg0 gw-b wg0 endpoint=198.51.100.2:51820 client-pool=10.7.2.0/24 index=2 public_key=TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=
ctl gateways; has '^gw-a .*wg0'
ctl routes; has 'ip route add 10.7.1.0/24 via'
ctl gateway set gw-b region=osaka
ctl gateway show gw-b; has 'region +osaka'
ctl -j gateway show gw-b; equal "JSON" "$(jq -r .region <<<"$OUT")" osaka
ctl help peer add; has 'allowed_ips='
ctl listGateways limit=1; has '^gw-a'

step "a configuration that no client could use is not given out, and nothing was made for it"
ctl interface add wg7
ctl_fails 1 no_gateway peer add nina wg7 --new-key --out "$DIR/nina.conf"
ctl gateway set gw-b interfaces=wg0,wg7
ctl endpoint add gw-b:wg7 gw-b wg7 endpoint=198.51.100.2:51827 index=1
ctl_fails 1 'no gateway of interface "wg7" has both' peer add nina wg7 --new-key --out "$DIR/nina.conf"
ctl_fails 5 not_found peer show nina
ctl endpoint remove gw-b:wg7
ctl gateway set gw-b interfaces=wg0
ctl interface remove wg7
ctl gateway add gw-c interfaces=wg0
ctl endpoint add gw-c:wg0 gw-c wg0 endpoint=198.51.100.3:51820 client_pool=10.7.3.0/24 index=3
ctl peer add nina wg0 allocate=client --new-key --out "$DIR/nina.conf"; has 'left out: gw-c, which has no public key'
equal "files" "$(ls "$DIR" | grep nina | tr '\n' ' ')" "nina-gw-a.conf nina-gw-b.conf "
touch "$DIR/otto-gw-b.conf"
ctl_fails 6 'otto-gw-b.conf is there already' peer add otto wg0 --new-key --out "$DIR/otto.conf"
ctl_fails 5 not_found peer show otto
ctl gateway decommission gw-c
ctl peer remove nina

step "a new peer with keys from here: files and a QR code that another program reads"
ctl peer add alice wg0 allocate=client --new-key --out "$DIR/alice.conf" --qr
equal "files" "$(ls "$DIR" | grep alice | tr '\n' ' ')" "alice-gw-a.conf alice-gw-b.conf "
equal "mode" "$(stat -c %a "$DIR/alice-gw-a.conf")" 600
KEY=$(sed -n 's/^PrivateKey = //p' "$DIR/alice-gw-a.conf")
OUT=$("$LAB_CTL" -j peer add jane wg0 --new-key --out "$DIR/jane.conf" 2>"$DIR/warned") || fail "no peer: $(cat "$DIR/warned")"
equal "files in the answer" "$(jq -r '.files[]' <<<"$OUT" | sed 's/.*jane/jane/' | tr '\n' ' ')" "jane-gw-a.conf jane-gw-b.conf "
grep -q 'jane has no address at gw-a' "$DIR/warned" || fail "no warning: $(cat "$DIR/warned")"
grep -q 'no AllowedIPs: no target' "$DIR/warned" || fail "no warning: $(cat "$DIR/warned")"
grep -q '^# Address = (you have none' "$DIR/jane-gw-a.conf" || fail "$(cat "$DIR/jane-gw-a.conf")"
ctl peer remove jane
ctl_fails 1 'nowhere/jane.conf: No such file' peer add jane wg0 --new-key --out "$DIR/nowhere/jane.conf"
ctl_fails 5 not_found peer show jane
ctl_fails 2 'no JSON' -j peer add jane wg0 --new-key --qr
ctl -j peer show alice; equal "public key" "$(jq -r .public_key <<<"$OUT")" "$(wg pubkey <<<"$KEY")"
grep -q 'PrivateKey = (' "$DIR/alice-gw-a.conf" && fail "the place of the key is still there: $(cat "$DIR/alice-gw-a.conf")"
grep -q '^MTU = 1420' "$DIR/alice-gw-a.conf" || fail "no MTU: $(cat "$DIR/alice-gw-a.conf")"
grep -q '^Endpoint = 198.51.100.1:51820' "$DIR/alice-gw-a.conf" || fail "$(cat "$DIR/alice-gw-a.conf")"
grep -q '^Address = 10.7.2.' "$DIR/alice-gw-b.conf" || fail "$(cat "$DIR/alice-gw-b.conf")"
ctl gateway set gw-b enabled=no
ctl peer add bob wg0 allocate=client --new-key --qr
BOB=$OUT
ctl gateway set gw-b enabled=yes
/usr/bin/python3 -c '
import sys
rows = [l.rstrip("\n") for l in sys.stdin if set(l.strip()) <= set("█▀▄ ") and "█" in l]
pix = []
for l in rows:
    for half in ("█▀", "█▄"):
        pix.append([255 if c in half else 0 for c in l])
w = max(map(len, pix)); k = 6
out = [v for line in pix for _ in range(k) for v in (x for p in line + [255] * (w - len(line)) for x in [p] * k)]
open(sys.argv[1], "wb").write(b"P5 %d %d 255\n" % (w * k, len(pix) * k) + bytes(out))' "$DIR/qr.pgm" <<<"$BOB"
zbarimg -q --raw --nodbus "$DIR/qr.pgm" >"$DIR/qr.conf" || fail "the QR code cannot be read"
BOBKEY=$(sed -n 's/^PrivateKey = //p' "$DIR/qr.conf")
ctl -j peer show bob; equal "key in the QR code" "$(jq -r .public_key <<<"$OUT")" "$(wg pubkey <<<"$BOBKEY")"

step "a control plane in wrong hands puts no command into a client's file, which wg-quick would carry out as root"
/usr/bin/python3 -c '
import http.server, json
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = "[Interface]\nAddress = 10.7.1.9/32\nPostUp = touch /tmp/owned\n"
        body = json.dumps({"peer": "eve", "configs": [{"gateway": "gw-a", "text": text}]}).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
s = http.server.HTTPServer(("127.0.0.1", 0), H)
print(s.server_port, flush=True)
s.serve_forever()' >"$DIR/evil" &
EVIL=$!
lab_wait 15 test -s "$DIR/evil" || fail "no server"
SLUICE_CONTROL=http://127.0.0.1:$(cat "$DIR/evil") ctl_fails 1 'config_unsafe' peer config eve; has 'line 3 .*PostUp'
kill $EVIL
EVIL=

step "suspend, resume, another key, removal, conflicts"
ctl peer suspend alice; has 'enabled +false'
ctl peer resume alice; has 'enabled +true'
ctl peer key alice "$(wg genkey | wg pubkey)" overlap_s=60; has 'old_key_until'
ctl peer config alice gateway=gw-a; has '10.7.1'
ctl_fails 6 'remedy: change it' endpoint add gw-a:wg0 gw-a wg0
ctl_fails 6 exists peer add alice wg0 TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=
ctl_fails 5 not_found peer show nobody
ctl_fails 5 'no peer "nobody"' peer remove nobody
ctl_fails 5 'no peer "nobody"' peer set nobody keepalive_s=25
ctl_fails 5 'no gateway "nope"' peer config alice gateway=nope
ctl_fails 1 'length is 44, not 5 (field_range) at /public_key' peer add carol wg0 short
ctl_fails 2 'is missing' peer add carol
ctl_fails 2 'takes no' peer set alice colour=red
ctl_fails 2 'no command' frobnicate
ctl_fails 2 'asked of a gateway: without SLUICE_CONTROL' mode enforce db
SLUICE_CONTROL= ctl_fails 2 'asked of a control plane: --control URL' import wg0.conf interface=wg0
ctl_fails 2 'peer lst"' peer lst; has 'there are: peers, peer show, .*peer config$'
(unset SLUICE_TOKEN_FILE; ctl_fails 1 unauthenticated peers; has 'remedy: --token-file') || exit 1
SLUICE_CONTROL=https://127.0.0.1:1 ctl_fails 4 unreachable peers; has 'remedy: is sluice-control running'
ctl_fails 2 'lost' peer add carol wg0 --new-key
ctl_fails 6 'is there already' peer add carol wg0 --new-key --out "$DIR/alice-gw-a.conf"
ctl_fails 1 secret_field peer set alice "addresses={\"private_key\":[]}"

step "errors for programs: one object, as of a gateway, and the same statuses"
ctl_tells 5 '.error == {reason: "not_found", message: "there is no peer \"nobody\""}' peer show nobody
ctl_tells 6 '.error.reason == "exists" and (.error.hint | length > 0)' endpoint add gw-a:wg0 gw-a wg0
ctl_tells 1 '.error.reason == "field_range" and .error.path == "/public_key"' peer add carol wg0 short
ctl_tells 5 '.error.reason == "reference_unknown" and .error.path == "/interface"' peer add carol nowhere "$(wg genkey | wg pubkey)"
ctl_tells 2 '.error.reason == "usage"' peer add carol
ctl_tells 4 '.error.reason == "unreachable"' --control https://127.0.0.1:1 peers
ctl_tells 2 '.error.reason == "file"' --ca /nowhere peers
ctl_tells 1 '.all == false and (has("error") | not)' wait 999999999 gw-a 0

step "dry runs, in each way to write them, and flags of questions"
for how in --dry-run --dry-run=yes dry_run=yes dry-run=true dry_run=1; do
	ctl gateway remove gw-b $how; has 'dry_run +true'
done
ctl gateway decommission gw-b --dry-run; has '^del +gateway +gw-b'
ctl peer set alice keepalive_s=25 --dry-run; has 'gw-a'
ctl_fails 2 'yes or no is wanted' gateway remove gw-b dry_run=perhaps
ctl gateway show gw-b
equal "keepalive_s" "$("$LAB_CTL" -j peer show alice | jq .keepalive_s)" null
ctl sessions alice open=yes; has '^none'

step "a wait that is not over fails, and says for whom"
seq=$("$LAB_CTL" -j replication | jq .seq)
ctl_fails 1 'gw-a" has not applied it (not_connected)' wait "$seq" gw-a 1
ctl_fails 1 not_applied -j wait "$seq" gw-a 0

step "pools, allocations, revocations, roles beside the policy, settings"
ctl pool add spare 10.90.0.0/16,10.91.0.0/16 24; has 'prefix_len +24'
ctl pool remove spare
ctl allocations; has '^gw-a:wg0:10.7.1'
ctl allocation remove "$("$LAB_CTL" -j allocations | jq -r '.items[] | select(.peer == "alice") | .name | select(startswith("gw-b"))')"
ctl peer show alice; grep -q 10.7.2 <<<"$OUT" && fail "the address is not released: $OUT"
ctl allocation add alice; has '10.7.2'
ctl revoke cert:0badcafe reason='laptop lost'; has 'laptop lost'
ctl revocations; has '^cert:0badcafe'
ctl_fails 1 id_invalid revoke cert:XYZ
ctl_fails 1 'it does not say which of them (objects_or_all)' blocked confirm; has 'remedy: .*--all'
ctl_fails 1 not_blocked blocked confirm peer/alice
ctl blocked confirm --all --dry-run
ctl blocked confirm --all
ctl setting set flow_days 31; has 'value +31'; has 'default +30'
ctl settings; has '^name +rev +value +default +set$'; has '^flow_days +[0-9]+ +31 +30 +true$'; has '^session_idle_s +0 +600 +600 +false$'
ctl setting reset flow_days
ctl settings; has '^flow_days +0 +30 +30 +false$'
ctl_fails 1 'one of: 0, 1, 5' migration phase 3
ctl_fails 2 'wants ROLE MEMBER INTERFACE' role-map add staff:peer:alice
ctl_fails 2 'wants ROLE MEMBER INTERFACE' role-map add staff peer:alice wg0

step "import: wg0.conf and CSV, first as a dry run; nothing is made of a file with a mistake"
PSK=$(wg genpsk)
cat >"$DIR/wg0.conf" <<-EOF
	[Interface]
	PrivateKey = $(wg genkey)
	# dave's phone
	[Peer]
	PublicKey = $(wg genkey | wg pubkey)
	PresharedKey = $PSK
	AllowedIPs = 10.7.9.4/32
	[Peer]
	# erin
	PublicKey = $(wg genkey | wg pubkey)
	AllowedIPs = 10.7.9.5/32
EOF
ctl import "$DIR/wg0.conf" interface=wg0 --dry-run; has '0 made'; has '^ +4  dave-s-phone +new +10.7.9.4/32$'; has '^ +8  erin +new'
ctl import "$DIR/wg0.conf" interface=wg0; has '2 made'; has '1 have a preshared key'
ctl import "$DIR/wg0.conf" interface=wg0; has '0 made, 2 were there'
ctl peer show dave-s-phone; has 'psk_ref'
printf 'name,public_key,allowed_ips\nfay,%s,10.7.9.6/32\ngus,%s,10.7.9.5/32\n' "$(wg genkey | wg pubkey)" "$(wg genkey | wg pubkey)" >"$DIR/p.csv"
k=$(wg genkey | wg pubkey)
printf 'name,public_key,allowed_ips\nhal,%s,10.7.9.8/32\nhal,%s,10.7.9.9/32\nida,%s,10.7.9.10/32\nivo,%s,10.7.9.8\n' "$k" "$(wg genkey | wg pubkey)" "$k" \
	"$(wg genkey | wg pubkey)" >"$DIR/twice.csv"
ctl_fails 6 'twice.csv:3: hal: name hal is that of line 2 too' import "$DIR/twice.csv" interface=wg0
has 'twice.csv:4: ida: public key .* line 2 too'; has 'twice.csv:5: ivo: prefix 10.7.9.8/32 .* line 2 too'; has '0 made'
ctl_fails 5 not_found peer show hal
ctl_fails 2 'Is a directory' import "$DIR" interface=wg0
ctl_fails 2 'Is a directory' policy validate "$DIR"
printf '\xef\xbb\xbfname,public_key,allowed_ips\r\njan,%s,10.7.9.11/32 10.7.9.11/32\r\n' "$(wg genkey | wg pubkey)" >"$DIR/sheet.csv"
ctl_fails 1 'sheet.csv:2: jan' import "$DIR/sheet.csv" interface=wg0
sed -i 's/ 10.7.9.11.32//' "$DIR/sheet.csv"
ctl import "$DIR/sheet.csv" interface=wg0; has '1 made'
ctl_fails 6 'p.csv:3: gus' import "$DIR/p.csv" interface=wg0
ctl_fails 5 not_found peer show fay
sed -i 's/10.7.9.5/10.7.9.7/' "$DIR/p.csv"
ctl import "$DIR/p.csv" interface=wg0; has '2 made'

step "policy, tokens, roles that may not, follower of nothing"
echo '{"version": 1, "zones": {"s": {"id": 1, "type": "internal", "networks": ["10.20.0.0/16"]}}, "targets": {"db": {"addresses": ["10.20.0.10"]}}}' >"$DIR/p.json"
ctl policy validate "$DIR/p.json"
ctl policy put "$DIR/p.json" comment=first
ctl policy show; equal "the document" "$(jq -c .targets.db.addresses <<<"$OUT")" '["10.20.0.10/32"]'
ctl policy show raw=yes; equal "the document as it was written" "$OUT" "$(cat "$DIR/p.json")"
ctl -j policy show raw=yes; equal "the same in JSON" "$(jq -r . <<<"$OUT")" "$(cat "$DIR/p.json")"
printf '\xef\xbb\xbf// a candidate\n%s' "$(cat "$DIR/p.json")" >"$DIR/bom.json"
ctl policy validate "$DIR/bom.json"
ctl policy replay "$DIR/bom.json"; has 'newly_denied'
ctl_fails 1 'p.csv:1: ' policy replay "$DIR/p.csv"
ctl policy test
ctl policy suggest; has '^rules'; grep -q candidate <<<"$OUT" && fail "the document among the suggestions: $OUT"
ctl policy suggest db --candidate; equal "the candidate's targets" "$(jq -c .targets <<<"$OUT")" '{"db":{"addresses":["10.20.0.10/32"]}}'
ctl -j policy suggest; equal "rules" "$(jq -c '.rules' <<<"$OUT")" '[]'
echo '{"version": 2, "roles": {"staff": {"id": 1}}}' >"$DIR/p2.json"
ctl policy put "$DIR/p2.json" --dry-run; has 'dry_run +true'
ctl policy show; has '"?db"?'
jq '.roles = {"staff": {"id": 1}}' "$DIR/p.json" >"$DIR/p2.json"
ctl policy put "$DIR/p2.json"
v=$("$LAB_CTL" -j policy versions | jq '.items[0].version')
ctl_fails 6 version_mismatch policy put "$DIR/p.json" if-version=$((v - 1))
ctl policy put "$DIR/p2.json" --if-version=$v
ctl_fails 2 'a number is wanted' policy put "$DIR/p.json" if-version=latest
rev=$("$LAB_CTL" -j peer show alice | jq .rev)
ctl peer set alice keepalive_s=25 if-version=$rev
ctl_fails 6 rev_mismatch peer set alice keepalive_s=26 if-version=$rev
ctl role-map add staff peer:alice wg0 reason='CHG-12, "on call"' expires_at=2099-01-31T17:00:00Z; has 'CHG-12'
ctl role-maps; has '^name .* state'; has '^staff:peer:alice .* active'
ctl role-map remove staff:peer:alice
ctl policy versions; has '1'
ctl migration status; has '^phase 0'; has 'db: vpn'
ctl token create viewer,auditor
(umask 077; grep -o 'slt_[A-Za-z0-9_]*' <<<"$OUT" >"$DIR/viewer")
OUT=$("$LAB_CTL" --token-file "$DIR/viewer" peer remove alice 2>&1) && fail "a viewer removed a peer"
has forbidden
chmod 644 "$DIR/viewer"
ctl_fails 2 'others may read' --control "$URL" --token-file "$DIR/viewer" peers
ctl_fails 2 'no address of a control plane' --control ftp://x peers
ctl_fails 4 unreachable --control https://127.0.0.1:1 peers
OUT=$(SLUICE_CA_FILE=/etc/ssl/certs/ca-certificates.crt "$LAB_CTL" peers 2>&1) && fail "a foreign authority was believed"
has -- '--ca FILE'
ctl_fails 4 'dial it by a name or address' --control "https://0.0.0.0:${URL##*:}" peers
ctl migration check
ctl metrics; has sluice_control_oplog_head
ctl audit; has 'createPeer .*peer/dave-s-phone '
ctl peer remove alice

step "no private or preshared key left this machine"
for k in "$KEY" "$BOBKEY" "$PSK"; do
	grep -rlF "$k" "$DIR/state" "$DIR/log" && fail "a key is in the control plane's files"
done
printf '%s\n' "$KEY" >"$DIR/k1"
printf '%s\n' "$BOBKEY" >"$DIR/k2"
printf '%s\n' "$PSK" >"$DIR/k3"
/usr/bin/python3 "$SMOKE/memscan.py" gone "$PID" "$DIR/k1" "$DIR/k2" "$DIR/k3" || fail "a key is in the server's memory"
