#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The command line of sluice-control: init, tokens, backup, verify, restore, promote, export; what is refused and how.
. "$(dirname "$0")/../smoke/lib.sh"
DIR=$(mktemp -d)
SERVER=
trap 'for p in $SERVER ${listener:-}; do kill "$p" 2>/dev/null; done; rm -rf "$DIR" ${OPEN:+"$OPEN"}' EXIT
TOP=$(cd "$(dirname "$0")/../.." && pwd)
S=$DIR/state
sc() { "$TOP/build/app/control/sluice-control" "$@"; }
at() { sc "$@" --state-dir "$S"; }
# what a command says when it fails: status, and a pattern of its message
refused() {
	local status=$1 pattern=$2 rc=0
	shift 2
	"$@" >"$DIR/out" 2>"$DIR/err" || rc=$?
	equal "status of $*" "$rc" "$status"
	grep -q -- "$pattern" "$DIR/err" || fail "$*: no \"$pattern\" in: $(cat "$DIR/err")"
}

step "before init there is nothing"
refused 1 'sluice-control init' at status
refused 2 Usage sc
refused 2 'no command "frob"' sc frob
refused 2 'init --help' sc init --frob
for url in cp1 http://cp1:7443 https:// https://:7443 https://cp1:0 https://cp1:99999 'https://c p' https://cp1/api https://-x https://[::1; do
	refused 2 'https://HOST\[:PORT\]' sc init --follower --primary "$url" --pepper /dev/null --state-dir "$DIR/none"
	refused 2 'https://HOST\[:PORT\]' sc run --public-url "$url" --state-dir "$DIR/none"
done
for url in https://cp1 https://cp1.example.com:7443/ https://192.0.2.1:7443 https://[2001:db8::1] https://[2001:db8::1]:7443; do
	refused 1 'none is not there' sc run --public-url "$url" --state-dir "$DIR/none"
done
refused 1 'none is not there' sc verify "$DIR/none"

step "init makes what run needs, closed to others, and prints one token"
at init --host vpn.example.com --host 192.0.2.1 >"$DIR/init" || fail init
TOKEN=$(grep -oE 'slt_[0-9A-Za-z]{10}_[0-9A-Za-z]{43}' "$DIR/init") || fail "no token: $(cat "$DIR/init")"
equal "mode of the directory" "$(stat -c %a "$S")" 700
for f in store.db pepper tls/control.key ca/ca.key; do equal "mode of $f" "$(stat -c %a "$S/$f")" 600; done
openssl verify -CAfile "$S/tls/ca.pem" -verify_hostname vpn.example.com "$S/tls/control.pem" >/dev/null || fail "certificate of vpn.example.com"
openssl verify -CAfile "$S/tls/ca.pem" -verify_ip 192.0.2.1 "$S/tls/control.pem" >/dev/null || fail "certificate of 192.0.2.1"
grep -rqF "${TOKEN#slt_*_}" "$S" && fail "the secret of the token is in a file"
grep -rqF "${TOKEN:4:10}" "$S" || fail "the id of the token is in no file"
refused 1 'restore FILE' at init

step "tokens are made, listed and revoked"
t=$(at token create --role gateway --bound gw1 --expires 12h --source 192.0.2.0/24 --description "edge 1") || fail "token create"
[[ $t =~ ^slt_[0-9A-Za-z]{10}_[0-9A-Za-z]{43}$ ]] || fail "token create printed: $t"
id=${t:4:10}
at token list --json >"$DIR/list"
equal "tokens" "$(jq length "$DIR/list")" 2
equal "the new one" "$(jq -c ".[] | select(.id == \"$id\") | [.roles, .bound, .source, .description, has(\"hash\")]" "$DIR/list")" \
	'[["gateway"],"gw1","192.0.2.0/24","edge 1",false]'
refused 1 'speaks for somebody' at token create --role peer
refused 2 'no role "boss"' at token create --role boss
refused 2 'write 30m' at token create --role admin --expires soon
refused 2 'token --help' at token create
at token revoke "$id" || fail revoke
refused 1 'there is no token' at token revoke "$id"
at export | grep -q "\"id\":\"token:$id\"" || fail "no revocation for $id"
at export | grep -q '"kind":"token"' && fail "export prints tokens unasked"
at export --with-tokens | grep -q '"kind":"token"' || fail "export --with-tokens prints none"

step "the audit has what the command line did, signed"
rows() { sqlite3 "$1/store.db" "SELECT operation || ' ' || actor || ' ' || json_array_length(diff) FROM rest_audit WHERE actor <> 'sluice-control' AND n > ${2:-0}"; }
equal "mode of the key" "$(stat -c %a "$S/audit.key")" 600
equal "rows" "$(rows "$S" | tr '\n' ,)" "init uid:$UID 1,token create uid:$UID 1,token revoke uid:$UID 2,"
audit_key=$(at audit key)
at audit verify --key "$audit_key" | grep -q '^whole: rows 1 to 4, 4 of them signed' || fail "$(at audit verify)"
refused 1 'row 1: the seal is of a foreign key' at audit verify --key "$(head -c 32 /dev/zero | base64)"
refused 1 'no public key' at audit verify --key "$S/pepper"
refused 2 'key or verify' at audit frob
# who only looks makes no key
mv "$S/audit.key" "$DIR/audit.key"
refused 1 'audit.key: No such file' at audit key
refused 1 'audit.key: No such file' at audit verify
at audit verify --key "$audit_key" >/dev/null || fail "the named key is enough"
[ ! -e "$S/audit.key" ] || fail "a key was made"
mv "$DIR/audit.key" "$S/audit.key"
# a row is signed with the change itself: nothing else can fail once that is committed
sqlite3 "$S/store.db" "CREATE TRIGGER busy BEFORE INSERT ON rest_audit WHEN NEW.operation = 'audit-checkpoint' BEGIN SELECT RAISE(ABORT, 'busy'); END"
at token create --role viewer >/dev/null || fail "a change that was committed is told as failed"
sqlite3 "$S/store.db" "DROP TRIGGER busy"
equal "rows that are not signed" "$(sqlite3 "$S/store.db" "SELECT count(*) FROM rest_audit WHERE signature IS NULL")" 0
grep -qF "$(cat "$S/audit.key")" "$S/store.db" && fail "the secret key is in the store"

step "backup, verify and restore"
at backup "$DIR/b1" || fail backup
equal "mode of a backup" "$(stat -c %a "$DIR/b1")" 600
refused 1 'there already' at backup "$DIR/b1"
sc verify "$DIR/b1" >/dev/null || fail "verify a backup"
sc restore --verify "$DIR/b1" >/dev/null || fail "restore --verify"
at token create --role viewer >/dev/null
seq=$(at status --json | jq .head)
exec 9>"$S/lock"
flock 9
refused 1 'stop it first' at restore "$DIR/b1"
exec 9>&-
chain=$(at audit verify --json | jq -r .chain_id)
at restore "$DIR/b1" >/dev/null || fail restore
equal "rows after restore" "$(rows "$S" 5)" "restore uid:$UID 0"
equal "another chain behind that of the backup" "$(at audit verify --json | jq -c --arg c "$chain" '[.chain_n, .unsigned, .chain_id == $c]')" '[7,0,false]'
equal "seq after restore" "$(at status --json | jq '[.head, .epoch.number, .epoch.parent_seq]' -c)" "[$((seq - 1)),2,$((seq - 1))]"
equal "seq of what was there" "$(sc verify "$S/store.db.before-restore" --json | jq .head)" "$seq"
cp "$DIR/b1" "$DIR/b2"
sqlite3 "$DIR/b2" "UPDATE log SET txn = replace(txn, 'init', 'tini') WHERE seq = 1"
refused 1 "chain breaks at seq 1" sc verify "$DIR/b2"
refused 1 "chain breaks at seq 1" at restore "$DIR/b2"
at verify >/dev/null || fail "the store after a refused restore"

step "what was revoked after a backup stays revoked, also after a second restore"
at token create --role viewer --description gone >"$DIR/gone"
gone=$(cut -c5-14 "$DIR/gone")
at backup "$DIR/b4" || fail backup
at token revoke "$gone" || fail "token revoke"
at restore "$DIR/b4" >/dev/null || fail restore
at token list | grep -q "$gone" && fail "the token is back"
at export | grep -q "\"kind\":\"crl\",\"id\":\"token:$gone\"" || fail "nobody is told: $(at export)"
at verify >/dev/null || fail "the store after the restore"
head=$(at status --json | jq .head)
at restore "$DIR/b4" >/dev/null || fail "the same again"
equal "seq of the second one" "$(at status --json | jq .head)" "$head"
at token list | grep -q "$gone" && fail "the token is back"
"$TOP/build/app/control/sluice-control" run --state-dir "$S" --rest 127.0.0.1:0 --repl 127.0.0.1:0 >"$DIR/log" 2>&1 &
SERVER=$!
lab_wait 10 grep -q 'is ready' "$DIR/log" || fail "not ready: $(cat "$DIR/log")"
url=$(grep -o 'https://127.0.0.1:[0-9]*' "$DIR/log" | head -1)
chmod 600 "$DIR/gone"
SLUICE_CA_FILE=$S/tls/ca.pem "$LAB_CTL" --control "$url" --token-file "$DIR/gone" whoami >"$DIR/out" 2>&1 && fail "the revoked token logs in: $(cat "$DIR/out")"
grep -q token_refused "$DIR/out" || fail "$(cat "$DIR/out")"
kill "$SERVER"
wait "$SERVER"

step "the store is lost: agents' and peers' tokens end, those that steer traffic go on"
L=$DIR/lost
lost() { sc "$@" --state-dir "$L"; }
lost init --host vpn.example.com >/dev/null || fail init
for role in agent peer gateway; do lost token create --role $role --bound $role-1 >"$DIR/$role"; done
lost backup "$DIR/b5" || fail backup
lost restore "$DIR/b5" --json >"$DIR/out" || fail restore
equal "the store knows" "$(jq -c '[.since_unknown, .tokens_revoked]' "$DIR/out")" '[false,0]'
roles() { lost token list --json | jq -c '[.[].roles[0]] | sort'; }
equal "tokens" "$(roles)" '["admin","agent","gateway","peer"]'
rm -f "$L"/store.db*
lost restore "$DIR/b5" --keep-tokens >"$DIR/out" || fail "restore --keep-tokens"
grep -q 'are kept: revoke again' "$DIR/out" || fail "$(cat "$DIR/out")"
equal "kept tokens" "$(roles)" '["admin","agent","gateway","peer"]'
rm -f "$L"/store.db*
cp "$S/store.db.before-restore" "$L/store.db"
lost restore "$DIR/b5" >"$DIR/out" || fail "restore over another store"
grep -q '^2 tokens of agents and peers are revoked' "$DIR/out" || fail "$(cat "$DIR/out")"
equal "tokens" "$(roles)" '["admin","gateway"]'
lost export >"$DIR/out"
for role in agent peer; do grep -q "\"id\":\"token:$(cut -c5-14 "$DIR/$role")\"" "$DIR/out" || fail "nobody is told of the $role's token"; done
[ "$(lost status --json | jq .epoch.number)" -gt 70000000 ] || fail "the epoch may be below what was seen: $(lost status --json)"
lost verify >/dev/null || fail "the store after the restore"

step "a follower has the primary's pepper and takes no changes"
F=$DIR/follower
refused 1 'pepper FILE' sc init --follower --primary https://cp1:7443 --state-dir "$F"
sc init --follower --primary https://cp1:7443 --pepper "$S/pepper" --state-dir "$F" >/dev/null || fail "init --follower"
cmp -s "$S/pepper" "$F/pepper" || fail "another pepper"
refused 1 'https://cp1:7443' sc token create --role admin --state-dir "$F"
refused 1 'catch up first' sc promote --state-dir "$F"
cp "$DIR/b1" "$DIR/b3"
sqlite3 "$DIR/b3" "UPDATE state SET role = 'follower'"
sc restore "$DIR/b3" --state-dir "$F" >/dev/null || fail "restore of a follower"
# not beside a primary that lives: something listens at its address
/usr/bin/python3 -c 'import socket, time
s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1], flush=True); time.sleep(60)' >"$DIR/port" &
listener=$!
for _ in {1..100}; do [ -s "$DIR/port" ] && break; sleep 0.1; done
url="https://127.0.0.1:$(cat "$DIR/port")/"
sqlite3 "$F/store.db" "UPDATE state SET primary_url = '$url'"
refused 1 "the primary answers at $url" sc promote --state-dir "$F"
refused 1 "the primary answers at $url" env --ignore-signal=CHLD "$TOP/build/app/control/sluice-control" promote --state-dir "$F"
equal "still a follower" "$(sc status --state-dir "$F" --json | jq -r .role)" follower
cp -r "$F" "$DIR/forced"
sc promote --force --state-dir "$DIR/forced" >/dev/null 2>&1 || fail "promote --force"
kill "$listener"
wait "$listener" 2>/dev/null
# a name whose first address is silent, and one of which the name server says nothing
beside_silent() {
	unshare --net --mount bash -ec 'ip link set lo up; ip link add d0 type veth peer d1; ip link set d1 up; ip link set d0 up
		ip addr add 192.0.2.1/24 dev d0; ip addr add 2001:db8::1/64 nodad dev d0
		for a in 192.0.2.53 2001:db8::9; do ip neigh add $a lladdr 02:00:00:00:00:01 dev d0; done
		printf "%s primary.test\n" 2001:db8::9 192.0.2.1 >"$1/hosts"; mount --bind "$1/hosts" /etc/hosts
		printf "nameserver 192.0.2.53\\noptions timeout:1 attempts:1\\n" >"$1/resolv.conf"; mount --bind "$1/resolv.conf" /etc/resolv.conf
		echo "hosts: files dns" >"$1/nsswitch.conf"; mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf
		/usr/bin/python3 -c "import socket, time; s = socket.create_server((\"192.0.2.1\", 7443)); print(1, flush=True); time.sleep(60)" >"$1/up" & listener=$!
		trap "kill $listener" EXIT; while [ ! -s "$1/up" ]; do sleep 0.05; done
		timeout 20 "${@:2}"' - "$DIR" "$TOP/build/app/control/sluice-control" promote --state-dir "$1"
}
sqlite3 "$F/store.db" "UPDATE state SET primary_url = 'https://primary.test:7443'"
refused 1 "the primary answers at https://primary.test:7443" beside_silent "$F"
sqlite3 "$F/store.db" "UPDATE state SET primary_url = 'https://elsewhere.test:7443'"
refused 1 "its name cannot be resolved at present" beside_silent "$F"
equal "still a follower" "$(sc status --state-dir "$F" --json | jq -r .role)" follower
sqlite3 "$F/store.db" "UPDATE state SET primary_url = '$url'"
# a user who may make no process more cannot find out who answers
OPEN=$(mktemp -d)
cp -r "$TOP/build/app/control/sluice-control" "$F" "$OPEN"
chown -R nobody "$OPEN"
poor() { setpriv --reuid=nobody --clear-groups prlimit --nproc=0 "$OPEN/sluice-control" "$@" --state-dir "$OPEN/follower"; }
refused 1 "cannot find out whether $url answers" poor promote
grep -q -- '--force' "$DIR/err" || fail "no remedy: $(cat "$DIR/err")"
equal "still a follower" "$(sqlite3 "$OPEN/follower/store.db" 'SELECT role FROM state')" follower
poor promote --force >/dev/null 2>&1 || fail "promote --force where nobody can be asked"
sc promote --state-dir "$F" >/dev/null 2>&1 || fail promote
equal "epoch of the promoted one" "$(sc status --state-dir "$F" --json | jq '[.role, .epoch.number]' -c)" '["primary",2]'
refused 1 'primary already' sc promote --state-dir "$F"
sc token create --role admin --state-dir "$F" >/dev/null || fail "token on the promoted one"

equal "rows of the promoted one" "$(rows "$F" 5 | tr '\n' ,)" "promote uid:$UID 0,token create uid:$UID 1,"
refused 1 'foreign key' sc audit verify --state-dir "$F"
sc audit verify --key "$audit_key" --key "$(sc audit key --state-dir "$F")" --state-dir "$F" >/dev/null || fail "two keys"

step "a store of before: its rows stay, the chain begins behind them"
rm "$S/audit.key"
for c in chain seal signature count; do echo "ALTER TABLE rest_audit DROP COLUMN $c;"; done |
	sqlite3 "$S/store.db" "DROP INDEX rest_audit_seal" '.read /dev/stdin' || fail "no old store"
refused 1 'no chain yet' at audit verify --key "$audit_key"
n=$(sqlite3 "$S/store.db" 'SELECT max(n) FROM rest_audit')
at token create --role viewer >/dev/null || fail "token create"
at audit verify >"$DIR/out" || fail "the audit of an old store"
grep -q "^whole: rows $((n + 1)) to $((n + 2))" "$DIR/out" || fail "$(cat "$DIR/out")"
grep -q "^not proved: $n records" "$DIR/out" || fail "$(cat "$DIR/out")"

step "who takes chains away, or leaves one that cannot be read, stops nothing, and is found"
sqlite3 "$S/store.db" "CREATE TABLE was AS SELECT * FROM rest_audit"
back() { sqlite3 "$S/store.db" "DELETE FROM rest_audit; INSERT INTO rest_audit SELECT * FROM was"; }
for what in "chain = NULL, seal = NULL, signature = NULL" "chain = 'x'" "seal = 'x'"; do
	sqlite3 "$S/store.db" "UPDATE rest_audit SET $what WHERE n = $((n + 2))"
	refused 1 "row $((n + 2)): " at audit verify
	at token create --role viewer >/dev/null || fail "no change is possible any more: $what"
	refused 1 "row $((n + 2)): " at audit verify
	back
done
sqlite3 "$S/store.db" "UPDATE rest_audit SET chain = NULL, seal = NULL, signature = NULL"
at token create --role viewer >/dev/null || fail "token create"
refused 1 'have no chain, though there was one' at audit verify
back
at audit verify >/dev/null || fail "the audit that was put back"

step "others may not look"
chmod 640 "$S/audit.key"
refused 1 'chmod 600' at token create --role viewer
chmod 600 "$S/audit.key"
chmod 755 "$S"
refused 1 'chmod 700' at status
chmod 700 "$S"
chmod 644 "$S/store.db"
refused 1 'chmod 600' at status
exit 0
