#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Every wrong configuration ends with an error that names the place and the remedy and a status that is not 0, and leaves
# nothing behind: no process, no socket, no lock, no interface.
. "$(dirname "$0")/lib.sh"

lab_start
lab_keys gateway alice bob
lab_config "$(peers_text alice bob)"
cp "$LAB_DIR/gateway.conf" "$LAB_DIR/good.conf"
lock=/run/lock/sluice-$LAB_ID.lock

# clean WHAT: nothing half-started is left
clean() {
	[ ! -e "$LAB_RUN/mgmt.sock" ] || fail "$1: the RPC socket is left"
	[ ! -e "/var/run/wireguard/$LAB_ID.sock" ] || fail "$1: the wg socket is left"
	[ ! -e "$lock" ] || flock -n "$lock" true || fail "$1: the lock is held"
	! pgrep -f "$LAB_DIR/bad.conf" >/dev/null || fail "$1: a process is left"
	[ -z "$(ip netns exec "$GW" ss -Hlnp -A packet | grep sluiced)" ] || fail "$1: a packet socket is left"
	[ ! -e "/var/run/dpdk/sluice-$LAB_ID" ] || fail "$1: a DPDK runtime directory is left"
}
# refused WHAT PLACE REMEDY [OPTION...]: start with bad.conf; both are patterns that the output must hold
refused() {
	local what=$1 place=$2 remedy=$3 out rc
	shift 3
	out=$(ip netns exec "$GW" timeout 20 "$LAB_SLUICED" -c "$LAB_DIR/bad.conf" "$@" 2>&1)
	rc=$?
	[ $rc != 0 ] || fail "$what: status 0: $out"
	[ $rc -lt 100 ] || fail "$what: status $rc: $out"
	grep -qE "error: .*$place" <<<"$out" || fail "$what: no error that names \"$place\": $out"
	grep -qE "remedy: .*$remedy" <<<"$out" || fail "$what: no remedy with \"$remedy\": $out"
	clean "$what"
	echo "   $what: $(grep -m 1 error: <<<"$out" | sed "s|$LAB_DIR/||g")"
}
# bad WHAT SED PLACE REMEDY: the good file after a sed script; --check says the same as the start
bad() {
	sed -E "$2" "$LAB_DIR/good.conf" >"$LAB_DIR/bad.conf"
	cmp -s "$LAB_DIR/good.conf" "$LAB_DIR/bad.conf" && fail "$1: the file is not changed"
	refused "$1" "$3" "$4"
}
checked() {
	bad "$@"
	refused "$1, --check" "$3" "$4" --check
}

# the public key of a peer as a pattern
key() { lab_pub "$1" | sed 's/[+.]/\\&/g'; }

step "the good file is good"
out=$("$LAB_SLUICED" --check -c "$LAB_DIR/good.conf") || fail "--check refuses the good file: $out"
grep -q 'is valid' <<<"$out" || fail "--check says nothing: $out"
step "and what is probably not meant is told"
echo '{"roles":{"r":{"members":["peer:alice","peer:alise"]}},"rules":[{"id":1,"role":"r","to":["10.20.0.0/16"],"protocol":"tcp","ports":[22],"action":"allow"}]}' >"$LAB_DIR/typo.json"
{ cat "$LAB_DIR/good.conf"; echo "policy = { file = \"$LAB_DIR/typo.json\"; };"; } >"$LAB_DIR/typo.conf"
out=$("$LAB_SLUICED" --check -c "$LAB_DIR/typo.conf") || fail "--check refuses a member that is no peer: $out"
equal "warnings" "$(grep -c warning <<<"$out")" 1
grep -q 'warning: /roles/r/members/1: .*"alise".*(peer_unknown)' <<<"$out" || fail "no word of the unknown peer: $out"

step "the file"
line=$(grep -n 'listen_port' "$LAB_DIR/good.conf" | cut -d: -f1)
checked "syntax" 's/listen_port = 51820;/listen_port 51820;/' "bad.conf:$line" 'name = value'
checked "unknown key" 's/^system = \{/system = { wrokers = 3;/' 'bad.conf:2: .*wrokers' 'known are: workers'
checked "unknown key in an interface" 's/listen_port = 51820;/listen_prot = 51820;/' "bad.conf:$line: .*listen_prot" 'known are: .*listen_port'
checked "unknown group" 's/^authz = /autz = /' 'autz' 'known are: .*authz'
checked "wrong type" 's/workers = 1;/workers = "one";/' 'workers must be an integer' 'name = 2;'
checked "out of range" 's/workers = 1;/workers = 1000;/' 'workers is 1000' '.'
checked "wrong type in an interface" 's/listen_port = 51820;/listen_port = "51820";/' "bad.conf:$line: .*listen_port" '.'
checked "bad enum" 's/mode = "observe"/mode = "watch"/' 'watch' 'observe'
checked "bad prefix" 's|10.7.0.2/32|10.7.0.300/32|' 'bad.conf:[0-9]+: .*10.7.0.300' '.'
checked "metrics at no address" 's/^authz = /metrics = { listen = "localhost:9586"; };\nauthz = /' 'bad.conf:[0-9]+: metrics/listen: ADDRESS:PORT' '.'
checked "unknown key in metrics" 's/^authz = /metrics = { port = 9586; };\nauthz = /' 'bad.conf:[0-9]+: .*metrics/port' 'known are: listen'
checked "no ports" 's/^ports = \(/ports = ( );\nroutes = (/; /name = "(wan|lan)"; device/d' 'no port' 'ports = '
rm -f "$LAB_DIR/bad.conf"
refused "no file" 'bad.conf' '-c FILE'

step "keys"
checked "bad public key" "s|$(key alice)|${LAB_ID}short=|" 'bad.conf:[0-9]+: .*public_key' 'base64|44|wg'
checked "missing key file" 's|gateway.key|nokey.key|' 'bad.conf:[0-9]+: .*nokey.key' 'wg genkey'
echo "not a key" >"$LAB_DIR/broken.key"
checked "broken key file" 's|gateway.key|broken.key|' 'broken.key' 'wg genkey|base64'

step "things that stand twice"
checked "the same AllowedIPs at two peers" 's|10.7.0.3/32|10.7.0.2/32|' 'bad.conf:[0-9]+: .*10.7.0.2/32.*line' 'belongs to one peer'
checked "the same peer twice" "s|$(key bob)|$(lab_pub alice)|" 'bad.conf:[0-9]+: .*line' 'remove one'
checked "the same port name twice" 's/name = "lan"; device/name = "wan"; device/' 'bad.conf:[0-9]+: .*"wan"' '.'
second="{ name = \"${LAB_ID}b\"; listen_port = 51820; key_store = \"memory\"; inside = { port = \"lan\"; }; }"
checked "the same listen port twice" "/^peers = /,/^\}/ s|^\}\$|}, $second|" 'listen_port 51820.*line' 'its own UDP port'
checked "port 443" 's/listen_port = 51820/listen_port = 443/' 'bad.conf:[0-9]+: .*443' '51820|another'

step "values that no gateway takes: told before one is stopped for them"
route() { echo "s|^authz = |routes = ( { prefix = \"$1\"; via = \"$2\"; } );\\nauthz = |"; }
checked "a name that no peer may have" 's/name = "alice"/name = "al ice"/' 'bad.conf:[0-9]+: .*al ice' 'visible ASCII'
checked "a key of zeroes" "s|$(key alice)|AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=|" 'bad.conf:[0-9]+: .*zero' '.'
checked "bits behind AllowedIPs" 's|10.7.0.2/32|10.7.0.2/24|' 'bad.conf:[0-9]+: 10.7.0.2/24' 'did you mean 10.7.0.0/24'
checked "an address of no interface" 's|"10.7.0.1/16"|"224.0.0.1/16"|' 'bad.conf:[0-9]+: 224.0.0.1/16' '.'
checked "an address twice" 's|"10.7.0.1/16"|"10.7.0.1/16", "10.7.0.1/16"|' 'bad.conf:[0-9]+: 10.7.0.1/16 stands twice' '.'
checked "bits behind an inside prefix" 's|port = "lan"; \}|port = "lan"; prefixes = [ "10.20.0.1/24" ]; }|' 'bad.conf:[0-9]+: 10.20.0.1/24' 'did you mean 10.20.0.0/24'
checked "bits behind a route" "$(route 10.9.0.1/16 10.20.0.9)" 'bad.conf:[0-9]+: 10.9.0.1/16' 'did you mean 10.9.0.0/16'
checked "a next hop in no network" "$(route 10.9.0.0/16 172.16.0.9)" 'bad.conf:[0-9]+: 172.16.0.9' 'name the port'
checked "the gateway as its next hop" "$(route 10.9.0.0/16 10.20.0.1)" 'bad.conf:[0-9]+: 10.20.0.1 is the gateway' '.'

step "what the machine lacks"
bad "missing device" 's/iface=lan0/iface=nolan0/' 'bad.conf:9: /ports/1/device: .*nolan0' 'ip link|name'
bad "unknown driver" 's/net_af_packet1/net_af_paket1/' 'bad.conf:9: /ports/1/device: .*net_af_paket1' '.'
bad "no hugepages" 's/^workers = 1;/workers = 1; hugepages = "require"; memory_mb = 500000;/' 'bad.conf: /system/hugepages: ' 'nr_hugepages'
bad "inside port that does not exist" 's/inside = \{ port = "lan"; \}/inside = { port = "dmz"; }/' 'dmz' 'wan, lan|ports are|name'
bad "one-armed without prefixes" 's/inside = \{ port = "lan"; \}/inside = { port = "wan"; }/; /name = "lan"; device/d; /name = "wan"/ s/,$//' 'inside|prefixes' 'prefixes'
bad "unwritable state directory" 's|state_dir = "[^"]*"|state_dir = "/proc/nothing/state"|' 'bad.conf: /system/state_dir: .*/proc/nothing' 'state_dir'
bad "too many workers" 's/^workers = 1;/workers = 60;/' 'bad.conf: /system/workers: ' '.'
bad "unknown CPU" 's/^workers = 1;/workers = 1; cpus = [ 0, 200 ];/' 'bad.conf: /system/cpus/1: .*200' '.'
bad "unknown user" 's/^workers = 1;/workers = 1; user = "nobody-of-that-name";/' 'bad.conf: /system/user: .*nobody-of-that-name' 'adduser'
bad "TCP without consent" 's/^authz = /control = { tcp = "127.0.0.1:5190"; };\nauthz = /' 'tcp' 'insecure_tcp'
bad "TCP beyond loopback" 's/^authz = /control = { tcp = "198.18.5.2:5190"; insecure_tcp = true; };\nauthz = /' '198.18.5.2' '127.0.0.1|loopback'

step "options"
for o in --nonsense "--log-level loud" "stray"; do
	# shellcheck disable=SC2086
	out=$("$LAB_SLUICED" -c "$LAB_DIR/good.conf" $o 2>&1)
	equal "status with $o" $? 2
	grep -q -- --help <<<"$out" || grep -q use <<<"$out" || fail "$o: $out"
done

step "the same instance twice: the first serves on"
lab_gateway
lab_client alice 2
reach alice 10.20.0.10
out=$(ip netns exec "$GW" timeout 20 "$LAB_SLUICED" -c "$LAB_DIR/good.conf" 2>&1)
rc=$?
[ $rc != 0 ] && [ $rc -lt 100 ] || fail "second start: status $rc: $out"
grep -q "error: .*\"$LAB_ID\" runs on this host already (pid $LAB_GW_PID)" <<<"$out" || fail "second start: $out"
grep -q 'remedy: .*--instance' <<<"$out" || fail "second start: $out"
ping_all alice 10.20.0.10
lab_ctl rpc.ping >/dev/null || fail "the socket of the first is gone"
wg show "$LAB_ID" >/dev/null || fail "the wg socket of the first is gone"
step "another instance that claims the same wg name: a warning, the first keeps it"
sed "s|run_dir = \"[^\"]*\"|run_dir = \"$LAB_RUN/run2\"|; s|state_dir = \"[^\"]*\"|state_dir = \"$LAB_DIR/state2\"|" "$LAB_DIR/good.conf" >"$LAB_DIR/bad.conf"
background ip netns exec "$GW" "$LAB_SLUICED" -c "$LAB_DIR/bad.conf" --instance "${LAB_ID}x" >"$LAB_DIR/second.log" 2>&1
lab_wait 10 grep -q "another program serves it" "$LAB_DIR/second.log" || fail "no warning: $(cat "$LAB_DIR/second.log")"
lab_wait 10 grep -q "is ready" "$LAB_DIR/second.log" || fail "the second instance: $(cat "$LAB_DIR/second.log")"
stop_pid "$LAB_LAST"
ping_all alice 10.20.0.10
wg show "$LAB_ID" | grep -q "$(lab_pub alice)" || fail "the wg socket of the first is gone"
lab_gateway_stop
cp "$LAB_DIR/good.conf" "$LAB_DIR/bad.conf"
clean "after the end"

step "another configuration that fails after its devices are open leaves none of them"
bad "IPv6 prefix as an own address of the wrong length" 's|"10.7.0.1/16"|"10.7.0.1/99"|' '10.7.0.1/99' '.'
lab_gateway
reach alice 10.20.0.10
