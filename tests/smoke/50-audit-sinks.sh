#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Records of denied flows in a file, in a real rsyslog (UDP, TCP, TLS) and in an HTTP bulk receiver; receivers that are
# down or slow and a full disk block nothing, and every record is accounted for.
. "$(dirname "$0")/lib.sh"
command -v rsyslogd >/dev/null || skip "rsyslogd is not installed"
command -v openssl >/dev/null || skip "openssl is not installed"

lab_start
lab_keys alice
mkdir "$LAB_DIR/small"
mount -t tmpfs -o size=1m none "$LAB_DIR/small" 2>/dev/null || skip "no tmpfs can be mounted here"
trap 'rc=$?; umount "$LAB_DIR/small" || umount -l "$LAB_DIR/small"; (exit $rc); lab_stop' EXIT
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=logs -addext subjectAltName=IP:127.0.0.1 \
	-keyout "$LAB_DIR/logs.key" -out "$LAB_DIR/logs.pem" 2>/dev/null || skip "openssl makes no certificate"

cat >"$LAB_DIR/rsyslog.conf" <<END
global(workDirectory="$LAB_DIR" maxMessageSize="64k" defaultNetstreamDriverCAFile="$LAB_DIR/logs.pem"
	defaultNetstreamDriverCertFile="$LAB_DIR/logs.pem" defaultNetstreamDriverKeyFile="$LAB_DIR/logs.key")
module(load="imudp")
module(load="imtcp")
template(name="line" type="string" string="%programname% %msgid% %syslogfacility-text% %msg%\n")
ruleset(name="udp") { action(type="omfile" file="$LAB_DIR/udp.out" template="line") }
ruleset(name="tcp") { action(type="omfile" file="$LAB_DIR/tcp.out" template="line") }
ruleset(name="tls") { action(type="omfile" file="$LAB_DIR/tls.out" template="line") }
input(type="imudp" address="127.0.0.1" port="5514" ruleset="udp" rcvbufSize="4m")
input(type="imtcp" address="127.0.0.1" port="5515" ruleset="tcp" streamDriver.name="ptcp" streamDriver.mode="0")
input(type="imtcp" address="127.0.0.1" port="6514" ruleset="tls" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon")
END
rsyslog_start() {
	background ip netns exec "$GW" rsyslogd -n -f "$LAB_DIR/rsyslog.conf" -i "$LAB_DIR/rsyslog.pid" >>"$LAB_DIR/rsyslog.log" 2>&1
	RSYSLOG=$LAB_LAST
	lab_wait 10 listens "$GW" 6514 || fail "rsyslogd does not listen: $(cat "$LAB_DIR/rsyslog.log")"
}
bulk_start() {
	background ip netns exec "$GW" /usr/bin/python3 "$SMOKE/bulk.py" 9200 "$LAB_DIR/bulk.out" "$LAB_DIR/bulk.mode" >>"$LAB_DIR/bulk.log" 2>&1
	BULK=$LAB_LAST
	lab_wait 10 listens "$GW" 9200 || fail "the bulk receiver does not listen"
}
echo take >"$LAB_DIR/bulk.mode"
rsyslog_start
bulk_start

LAB_MODE=enforce lab_config "$(lab_peer alice 2)" "audit = { sinks = (
	{ type = \"file\"; name = \"file\"; path = \"$LAB_DIR/audit.json\"; rotate_mb = 0; },
	{ type = \"file\"; name = \"small\"; path = \"$LAB_DIR/small/audit.json\"; rotate_mb = 0; flush_ms = 200; },
	{ type = \"syslog\"; name = \"udp\"; host = \"127.0.0.1\"; port = 5514; },
	{ type = \"syslog\"; name = \"tcp\"; transport = \"tcp\"; host = \"127.0.0.1\"; port = 5515; queue = 400; },
	{ type = \"syslog\"; name = \"tls\"; transport = \"tls\"; host = \"127.0.0.1\"; port = 6514; ca_file = \"$LAB_DIR/logs.pem\"; },
	{ type = \"http\"; name = \"http\"; url = \"http://127.0.0.1:9200/_bulk\"; index = \"logs-sluice\"; flush_ms = 300; queue = 400; } ); };"
lab_gateway
lab_client alice 2
ping_none alice 10.20.0.10 2
lab_wait 20 shook alice || fail "alice does not shake hands"

# flows FIRST COUNT: one datagram each to so many ports, 400 a second; under enforce without a policy each is denied.
flows() {
	in_client alice /usr/bin/python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for p in range(int(sys.argv[1]), int(sys.argv[1]) + int(sys.argv[2])):
    try:
        s.sendto(b"x", ("10.20.0.10", p))
    except OSError:
        pass
    time.sleep(0.0025)' "$1" "$2"
}
# sink NAME FIELD; dropped NAME REASON
sink() { rpc audit.status | jq ".sinks[] | select(.name == \"$1\").$2"; }
dropped() { rpc audit.status | jq "[.sinks[] | select(.name == \"$1\").drops[] | select(.reason == \"$2\").records] | add // 0"; }
# Everything is taken (by the ring's own positions), and nothing waits in any sink (or in the one of this name).
idle() { rpc audit.status | jq -e --arg s "${1:-}" '.pending == 0 and ([.lcores[].types[].in_ring] | add) == 0 and ([.sinks[] | select($s == "" or .name == $s).queued] | add) == 0'; }
# under_load SECONDS: while records come and go, what was taken and what lies in the rings is never more than was recorded
# (recorded is read last), nor less than was recorded a moment before.
under_load() {
	local end=$((SECONDS + $1)) was=0 n=0 bad=0 sum
	while [ $SECONDS -lt $end ]; do
		rpc audit.status >"$LAB_DIR/status.json"
		sum=$(jq '[.lcores[].types[] | .taken + .overwritten + .in_ring] | add' "$LAB_DIR/status.json")
		jq -e 'all(.lcores[].types[]; .taken + .overwritten + .in_ring <= .recorded)' "$LAB_DIR/status.json" >/dev/null && [ "$sum" -ge "$was" ] || bad=$((bad + 1))
		was=$(jq '[.lcores[].types[].recorded] | add' "$LAB_DIR/status.json")
		n=$((n + 1))
	done
	at_least "looks under load" "$n" 3
	# a look at a drain that takes all the time may be blurred; a wrong count is wrong each time
	[ $bad -le $((n / 3)) ] || fail "$bad of $n looks do not add up: $(jq -c .lcores "$LAB_DIR/status.json")"
}
denied() { rpc audit.status | jq '[.lcores[].types[] | select(.type == "deny").taken] | add'; }
# Every sink and lcore adds up; the same number went to each sink, but that a file has its own seals alone.
equations() {
	rpc audit.status >"$LAB_DIR/status.json"
	jq -e '[.sinks[].drained] as $all | all(.sinks[]; .drained == .acked + .dropped + .queued and .dropped == ([.drops[].records] | add // 0)) and
		([.sinks[] | select(.name | IN("file", "small") | not).drained] | unique | length) == 1 and
		all(.sinks[]; .drained as $n | [range(0; 30)] | any($n + . == ($all | max))) and
		all(.lcores[].types[]; .seen == .recorded + .suppressed + .not_selected and .recorded == .taken + .overwritten + .in_ring)' \
		"$LAB_DIR/status.json" >/dev/null || fail "the counts do not add up: $(jq -c . "$LAB_DIR/status.json")"
}
file_lines() { wc -l <"$1"; }
# came FILE SINK: the file holds what the sink sent, or will in a moment: records keep coming.
same() { [ "$(file_lines "$1")" = "$(sink "$2" acked)" ]; }
came() { lab_wait 10 same "$@" || fail "$1: $(file_lines "$1") records, sent $(sink "$2" acked)"; }
same_ids() {
	cut -d' ' -f4- "$LAB_DIR/$1.out" | jq -r 'select(.event.action != "audit-seal").event.id' | sort >"$LAB_DIR/$1.ids"
	cmp -s "$LAB_DIR/$1.ids" <(jq -r 'select(.event.action != "audit-seal").event.id' "$LAB_DIR/audit.json" | sort)
}

step "records arrive everywhere"
flows 2000 300 &
under_load 2
wait $! || fail "no packets were sent"
lab_wait 10 idle || fail "records stay queued: $(rpc audit.status | jq -c .sinks)"
equations
at_least "denies taken" "$(denied)" 300
for s in file small udp tcp tls http; do equal "$s dropped" "$(sink $s dropped)" 0; done
came "$LAB_DIR/audit.json" file
jq -es 'all(.[]; ."@timestamp" and .event.id and .observer.name)' "$LAB_DIR/audit.json" >/dev/null || fail "a line is no record"
n=$(jq -s --arg i "$LAB_ID" '[.[] | select(.destination.port >= 2000 and .destination.port < 2300 and .event.action == "policy-deny" and
	.sluice.event_type == "NoRoleFound" and .sluice.peer.name == "alice" and .sluice.peer.interface == $i)] | length' "$LAB_DIR/audit.json")
equal "denied flows with their peer" "$n" 300
grep -q 198.18.5 "$LAB_DIR/audit.json" && fail "an outer address is in the records"
came "$LAB_DIR/bulk.out" http
for s in udp tcp tls; do
	came "$LAB_DIR/$s.out" $s
	grep -v '^sluice [a-z-]* local0 {' "$LAB_DIR/$s.out" && fail "$s: not our message"
	lab_wait 10 same_ids $s || fail "$s and the file hold different records"
done

step "receivers down, a full disk: their own records are lost, nothing else waits"
stop_pid "$RSYSLOG"
stop_pid "$BULK"
before=$(file_lines "$LAB_DIR/audit.json")
flows 3000 1200
lab_wait 10 idle file || fail "the file waits for others"
at_least "lines of the file" $(($(file_lines "$LAB_DIR/audit.json") - before)) 1200
equations
at_least "full disk" "$(dropped small no_space)" 100
came "$LAB_DIR/small/audit.json" small
jq -es length "$LAB_DIR/small/audit.json" >/dev/null || fail "a part of a line is on the full disk"
at_least "tcp queue full" "$(dropped tcp queue_full)" 500
at_least "http queue full" "$(dropped http queue_full)" 500
equal "tcp waits" "$(sink tcp queued)" 400

step "and they come back"
rsyslog_start
bulk_start
rm "$LAB_DIR/small/audit.json"
kill -HUP "$LAB_GW_PID"
flows 5000 100
lab_wait 60 idle || fail "records stay queued: $(rpc audit.status | jq -c .sinks)"
equations
equal "tls lost" "$(sink tls dropped)" 0
at_least "small again" "$(file_lines "$LAB_DIR/small/audit.json")" 100
equal "bulk: each record once" "$(jq -r .event.id "$LAB_DIR/bulk.out" | sort | uniq -d | wc -l)" 0
came "$LAB_DIR/bulk.out" http

step "a slow and a busy receiver"
echo slow >"$LAB_DIR/bulk.mode"
flows 6000 800
lab_wait 10 idle file || fail "the file waits for a slow receiver"
equations
echo busy >"$LAB_DIR/bulk.mode"
flows 7000 100
lab_wait 20 eval 'sink http last_error | grep -q 429' || fail "nobody was busy: $(rpc audit.status | jq -c .sinks)"
flows 7100 300
lab_wait 10 idle file || fail "the file waits for a busy receiver"
equal "what the busy receiver costs, by a full queue alone" "$(sink http dropped)" "$(dropped http queue_full)"
at_least "what waits for it" "$(sink http queued)" 300
equations
echo take >"$LAB_DIR/bulk.mode"
kill -HUP "$LAB_GW_PID" # not after its back-off
flows 8000 50
lab_wait 40 idle || fail "records stay queued: $(rpc audit.status | jq -c .sinks)"
equations
came "$LAB_DIR/bulk.out" http

step "losses are records too, and the rate of a role holds"
lab_wait 15 eval 'rpc audit.recent "{\"limit\":1024,\"action\":\"audit-summary\"}" | jq -e ".records | length > 0"' || fail "no summary of what was lost"
lab_ctl audit | grep -q http || fail "sluicectl audit: $(lab_ctl audit)"
lab_ctl audit recent 5 policy-deny | grep -q policy-deny || fail "sluicectl audit recent"

step "sessions of peers: opened, renewed, closed and why"
# session ACTION FILTER: such a record of alice is in the file
session() { jq -es --arg a "wg-session-$1" '[.[] | select(.event.action == $a and .sluice.peer.name == "alice" and .event.dataset == "sluice.wireguard") | select('"$2"')] | length > 0' "$LAB_DIR/audit.json"; }
session open '.network.direction == "inbound" and .event.type == ["start"] and .event.category == ["network", "session"]' >/dev/null || fail "the session was not opened"
client_forgets alice 2
shook_again() { ping_none alice 10.20.0.10 1; lab_wait 1 session rekey '.event.sequence > '"$seq" >/dev/null; }
seq=$(jq -s 'map(.event.sequence) | max' "$LAB_DIR/audit.json")
lab_wait 20 shook_again || fail "the session was not renewed"
lab_ctl peer kick "$LAB_ID" alice >/dev/null
lab_wait 10 session close '.event.reason == "kicked" and .event.duration > 0 and .event.type == ["end"]' >/dev/null || fail "the session was not closed"
client_forgets alice 2
opened_again() { ping_none alice 10.20.0.10 1; lab_wait 1 session open '.event.sequence > '"$seq" >/dev/null; }
lab_wait 20 opened_again || fail "no session was opened"
grep -q 198.18.5 "$LAB_DIR/audit.json" && fail "an outer address is in the records"
lab_wait 40 idle || fail "records stay queued"
equations
rpc audit.status | jq -e '[.lcores[] | select(.role == "hs").types[] | select(.type | startswith("wg_session")) | .taken] | length == 3 and all(. > 0)' >/dev/null ||
	fail "what the handshake lcore counts: $(rpc audit.status | jq -c '.lcores[] | select(.role == "hs")')"

step "admin records are a chain that is signed; what is done to the file is found"
lab_ctl mode observe >/dev/null
lab_ctl mode enforce force=yes >/dev/null
lab_ctl log off >/dev/null
lab_ctl log on >/dev/null
lab_wait 10 idle || fail "records stay queued"
key=$(rpc audit.status | jq -r .seal_key)
rpc audit.status | jq '.sinks[] | select(.name == "file")' >"$LAB_DIR/kept.json"
lab_ctl audit | grep -qF "$key" || fail "sluicectl audit does not tell the key: $(lab_ctl audit)"
lab_gateway_stop
equal "the file at the end is JSON" "$(jq -s 'length > 2000' "$LAB_DIR/audit.json")" true
verify() { "$LAB_CTL" audit verify "$@"; }
verify "$LAB_DIR/audit.json" --key "$key" --kept "$LAB_DIR/kept.json" >"$LAB_DIR/out" || fail "verify: $(cat "$LAB_DIR/out")"
grep -q 'last signed: .* (stop); 0 after' "$LAB_DIR/out" || fail "no seal at the end: $(cat "$LAB_DIR/out")"
grep -q 'kept: 1 are here' "$LAB_DIR/out" || fail "what was kept: $(cat "$LAB_DIR/out")"
rc=0
verify "$LAB_DIR/gone.json" >"$LAB_DIR/out" 2>&1 || rc=$?
equal "verify of a file that is not there: $(cat "$LAB_DIR/out")" "$rc" 2
oracle() { /usr/bin/python3 "$SMOKE/../control/seals.py" "$@"; }
n=$(jq -s '[.[] | select(.sluice.chain)] | length' "$LAB_DIR/audit.json")
s=$(jq -s '[.[] | select(.sluice.seal)] | length' "$LAB_DIR/audit.json")
equal "by another program" "$(oracle "$LAB_DIR/audit.json")" "$n records, $s seals, key $key"
at_least "mode and logging changes" "$(jq -s '[.[] | select(.sluice.chain and (.event.action | test("mode|logging")))] | length' "$LAB_DIR/audit.json")" 4
equal "flows in the chain" "$(jq -s '[.[] | select(.sluice.chain and (.event.dataset | IN("sluice.flow", "sluice.wireguard")))] | length' "$LAB_DIR/audit.json")" 0
session close '.event.reason == "shutdown"' >/dev/null || fail "the session that was open is not closed at the end"
grep -q '"why":"start"' <(cut -d' ' -f4- "$LAB_DIR/tls.out") || fail "rsyslog has no seal"
cut -d' ' -f4- "$LAB_DIR/tls.out" | grep '"seal":' | grep "$(jq -r 'select(.sluice.seal).sluice.seal.id' "$LAB_DIR/audit.json" | head -1)" >"$LAB_DIR/kept.syslog"
verify "$LAB_DIR/audit.json" --kept "$LAB_DIR/kept.syslog" | grep -q 'are here' || fail "a seal of rsyslog is not in the file"
# spoiled WHAT PATTERN SCRIPT: what verify says of a copy that awk made; the other program finds something too.
line=$(grep -n '"chain_n":4,' "$LAB_DIR/audit.json" | cut -d: -f1)
next=$(grep -n '"chain_n":5,' "$LAB_DIR/audit.json" | cut -d: -f1)
last=$(grep -n '"chain_n":' "$LAB_DIR/audit.json" | tail -1 | cut -d: -f1)
spoiled() {
	local rc=0
	awk -v a="$line" -v b="$next" -v z="$last" "$3" "$LAB_DIR/audit.json" >"$LAB_DIR/spoiled.json"
	verify "$LAB_DIR/spoiled.json" --key "$key" --kept "$LAB_DIR/kept.json" >"$LAB_DIR/out" 2>&1 || rc=$?
	equal "status: $1" $rc 1
	grep -qE "$2" "$LAB_DIR/out" || fail "$1: no \"$2\" in: $(cat "$LAB_DIR/out")"
	[[ $1 == *kept* ]] || ! oracle "$LAB_DIR/spoiled.json" >/dev/null 2>&1 || fail "$1: the other program finds nothing"
}
spoiled "a byte" "spoiled.json:$line: record 4 does not fit its chain" 'NR == a {sub("success", "failure"); sub("warning", "Warning"); sub("event", "eVent")} {print}'
spoiled "a line less" "spoiled.json:$((next - 1)): records 4 to 4 are missing" 'NR != a'
spoiled "a line twice" "spoiled.json:$((line + 1)): record 4 is not in its place" 'NR == a {print} {print}'
spoiled "two swapped" "spoiled.json:$line: records 4 to 4 are missing" 'FNR == 1 {while ((getline l < FILENAME) > 0) if (++n == b) keep = l} NR == a {print keep; keep = $0; next} NR == b {print keep; next} {print}'
spoiled "no line" "spoiled.json:$line: the line is no record" 'NR == a {print "x"; next} {print}'
spoiled "the last seal's signature" "spoiled.json:$last: the signature of the seal is wrong" 'NR == z {gsub(/"signature":"[^"]*"/, "\"signature\":\"" sprintf("%085d", 0) "A==\"")} {print}'
spoiled "the end, with what was kept" 'the end is missing: a checkpoint of record' 'NR <= b'
# what is no checkpoint between those that were kept does not hide the next one
{ head -1 "$LAB_DIR/kept.syslog"; echo "tcp: 1 message lost"; cat "$LAB_DIR/kept.json"; } >"$LAB_DIR/kept.mixed"
verify "$LAB_DIR/spoiled.json" --key "$key" --kept "$LAB_DIR/kept.mixed" >"$LAB_DIR/out" 2>&1 && fail "a checkpoint was left out: $(cat "$LAB_DIR/out")"
grep -q 'kept.mixed: no. 2 in it is no checkpoint' "$LAB_DIR/out" || fail "$(cat "$LAB_DIR/out")"
# somebody without the key appends a record that fits, while nothing runs
cp "$LAB_DIR/audit.json" "$LAB_DIR/more.json"
PYTHONPATH=$SMOKE/../control /usr/bin/python3 - "$LAB_DIR/more.json" <<'END' || fail "nothing was appended"
import json, sys, seals
*_, end = seals.admin(sys.argv[1:])
more = {"@timestamp": end["@timestamp"], "event": {"dataset": "sluice.control", "action": "logging-set"}, "sluice": {"chain_n": end["sluice"]["chain_n"] + 1}}
more["sluice"]["chain"] = seals.link(bytes.fromhex(end["sluice"]["chain"]), more).hex()
with open(sys.argv[1], "a", encoding="utf-8") as f:
    f.write(json.dumps(more, separators=(",", ":")) + "\n")
END
verify "$LAB_DIR/more.json" --key "$key" >"$LAB_DIR/out" 2>&1 && fail "a record that nobody signed was taken"
grep -q 'is not signed, as those before it are' "$LAB_DIR/out" || fail "$(cat "$LAB_DIR/out")"
oracle "$LAB_DIR/more.json" >/dev/null && fail "the other program finds nothing"
verify "$LAB_DIR/audit.json" --key "$(head -c 32 /dev/zero | base64)" >"$LAB_DIR/out" 2>&1 && fail "a foreign key was taken"
grep -q 'of a foreign key' "$LAB_DIR/out" || fail "$(cat "$LAB_DIR/out")"
head -c -20 "$LAB_DIR/audit.json" | verify - >"$LAB_DIR/out" 2>&1 && fail "half a line was taken"
grep -q 'the line is cut' "$LAB_DIR/out" || fail "$(cat "$LAB_DIR/out")"
# two files in any order are one chain
head -n "$((next - 1))" "$LAB_DIR/audit.json" >"$LAB_DIR/part.1"
tail -n "+$next" "$LAB_DIR/audit.json" >"$LAB_DIR/part"
verify "$LAB_DIR/part" "$LAB_DIR/part.1" --key "$key" >/dev/null || fail "two files"
