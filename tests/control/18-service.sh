#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 120
# The units under a systemd of their own, in namespaces, on a copy of this root: both services become active behind all that their
# units forbid, are reloaded, come back after they were killed, and stop.
. "$(dirname "$0")/../smoke/lib.sh"
TOP=$(cd "$(dirname "$0")/../.." && pwd)
SYSTEMD=/lib/systemd/systemd
[ -x $SYSTEMD ] || skip "there is no systemd"
CGROUP2=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts)
[ -n "$CGROUP2" ] || skip "there is no cgroup2"
DIR=$(mktemp -d)
CGROUP=$CGROUP2/sluice-test-$$
mkdir "$CGROUP" 2>/dev/null || { rmdir "$DIR"; skip "no group can be made in $CGROUP2"; }
INIT=
# the first process of its namespaces: all others end with it
clean() {
	local rc=$? i
	trap - EXIT
	[ -z "$INIT" ] || kill -9 "$INIT" 2>/dev/null
	for i in {1..50}; do
		grep -q populated.0 "$CGROUP/cgroup.events" && break
		sleep 0.1
	done
	find "$CGROUP" -depth -type d -exec rmdir {} \;
	rm -rf "$DIR"
	exit $rc
}
trap clean EXIT

FILES=$DIR/files/etc/systemd/system
mkdir -p "$FILES" "$DIR"/{root,low,up} "$DIR/files/usr/local/sbin" "$DIR/files/usr/lib/sysusers.d" "$DIR/files/etc/sluice"
for p in app/control/sluice-control app/sluiced/sluiced tools/sluicectl/sluicectl; do cp "$LAB_BUILD/$p" "$DIR/files/usr/local/sbin/"; done
for u in sluice-control sluiced; do sed -E "s,^(Exec[A-Za-z]*=)/[^ ]*/s?bin/$u,\1/usr/local/sbin/$u," "$LAB_BUILD/dist/$u.service" >"$FILES/$u.service"; done
cp "$TOP/dist/sluice-control.sysusers" "$DIR/files/usr/lib/sysusers.d/sluice-control.conf"
printf '[Unit]\nRequires=basic.target\nAfter=basic.target\n' >"$FILES/sluice-test.target"
# what is the machine's, not ours
for u in systemd-udevd.service systemd-udev-trigger.service systemd-udevd-control.socket systemd-udevd-kernel.socket kmod-static-nodes.service \
	systemd-modules-load.service systemd-sysctl.service systemd-random-seed.service systemd-update-utmp.service systemd-pstore.service \
	systemd-binfmt.service proc-sys-fs-binfmt_misc.automount systemd-remount-fs.service systemd-tmpfiles-setup-dev.service timers.target \
	dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount \
	sys-fs-fuse-connections.mount network-online.target; do ln -s /dev/null "$FILES/$u"; done
cat >"$DIR/files/etc/sluice/sluice.conf" <<-'END'
	system = { workers = 1; idle = "sleep"; hugepages = "off"; };
	ports = ( { name = "wan"; device = "net_af_packet0,iface=wan0"; addresses = [ "198.18.5.2/24" ]; },
		{ name = "lan"; device = "net_af_packet1,iface=lan0"; addresses = [ "10.20.0.1/24" ]; } );
	interfaces = ( { name = "wg0"; listen_port = 51820; private_key_file = "/etc/sluice/gateway.key"; addresses = [ "10.7.0.1/16" ];
		inside = { port = "lan"; }; } );
END
cat >"$DIR/boot" <<-'END'
	set -e
	cd "$1"
	mount --make-rprivate /
	mount --bind / low
	mount -t tmpfs tmpfs up
	mkdir up/upper up/work
	mount -t overlay overlay -o lowerdir=low,upperdir=up/upper,workdir=up/work root
	cp -r files/. root
	cd root
	mount -t proc proc proc
	mount -t sysfs sysfs sys
	mount -t cgroup2 cgroup2 sys/fs/cgroup
	mount -t tmpfs -o mode=755 tmpfs dev
	for n in null zero full random urandom tty; do touch dev/$n; mount --bind /dev/$n dev/$n; done
	mkdir dev/shm dev/pts
	mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
	ln -s pts/ptmx dev/ptmx
	for d in run tmp dev/shm; do mount -t tmpfs tmpfs $d; done
	for n in wan0 lan0; do ip link add $n type veth peer name p$n; ip link set $n up; ip link set p$n up; done
	ip link set lo up
	mkdir before
	pivot_root . before
	umount -l /before
	exec env -i container=other PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=sluice-test.target \
		--log-target=console --show-status=no
END

step "systemd starts"
(
	echo "$BASHPID" >"$CGROUP/cgroup.procs"
	exec unshare --fork --pid --mount --uts --ipc --net --cgroup --kill-child bash "$DIR/boot" "$DIR"
) >"$DIR/boot.log" 2>&1 </dev/null &
first_child() { INIT=$(pgrep -P $!) && [ -n "$INIT" ]; }
lab_wait 5 first_child || skip "no namespaces here: $(tail -n 1 "$DIR/boot.log")"
inside() { nsenter -t "$INIT" -m -p -u -i -n -C --root --wd "$@"; }
up() { [ "$(inside systemctl is-active sluice-test.target 2>/dev/null)" = active ]; }
lab_wait 30 up || skip "systemd does not start here: $(tail -n 3 "$DIR/boot.log")"

active() { [ "$(inside systemctl is-active "$1")" = active ]; }
said() { inside systemctl show "$1" -p Result -p ExecMainStatus -p ExecMainCode; inside journalctl -u "$1" -o cat --no-pager | tail -n 6; }
show() { inside systemctl show -P "$2" "$1"; }
# of_main UNIT FIELD: of /proc/PID/status
of_main() { inside sed -n "s/^$2:[[:space:]]*//p" "/proc/$(show "$1" MainPID)/status"; }
logged() { inside journalctl -u "$1" -o cat --no-pager | grep -q "$2"; }
listening() { inside ss -Hltn | grep -q ":$1 "; }

step "sluice-control: as the documentation installs it"
inside systemctl start sluice-control # no store yet: its condition holds it back, and is no failure
equal state "$(inside systemctl is-active sluice-control)" inactive
inside install -d -o sluice-control -g sluice-control -m 0700 /var/lib/sluice-control || fail "no user sluice-control"
TOKEN=$(inside runuser -u sluice-control -- sluice-control init --host 127.0.0.1 2>&1 | grep -oE 'slt_[0-9A-Za-z]{10}_[0-9A-Za-z]{43}' | head -n 1)
[ -n "$TOKEN" ] || fail "init shows no token"
inside systemctl start sluice-control || fail "it does not start: $(said sluice-control)"
lab_wait 10 listening 7443 || fail "it does not listen: $(said sluice-control)"
equal "capabilities, privileges, system calls" "$(of_main sluice-control CapEff) $(of_main sluice-control NoNewPrivs) $(of_main sluice-control Seccomp)" \
	"0000000000000000 1 2"
[ "$(of_main sluice-control Uid | cut -f1)" != 0 ] || fail "it runs as root"
call() { inside curl -sS --cacert /var/lib/sluice-control/tls/ca.pem -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' "$@"; }
equal "a change" "$(call -o /dev/null -w '%{http_code}' https://127.0.0.1:7443/api/v1/interfaces -d '{"name":"wg0"}')" 201
equal "a backup, in the state directory" "$(call -o /dev/null -w '%{http_code}' https://127.0.0.1:7443/api/v1/backup -d '')" 201
inside systemctl reload sluice-control || fail "reload"
lab_wait 5 logged sluice-control 'certificates are read anew' || fail "nothing is read anew: $(said sluice-control)"
inside kill -9 "$(show sluice-control MainPID)"
again() { [ "$(show "$1" NRestarts)" = 1 ] && active "$1"; }
lab_wait 10 again sluice-control || fail "it does not come back: $(said sluice-control)"
lab_wait 10 listening 7443 || fail "it does not listen again: $(said sluice-control)"
equal "what was put" "$(call https://127.0.0.1:7443/api/v1/interfaces | jq -r '.items[].name')" wg0
inside systemctl stop sluice-control
equal "after the stop" "$(show sluice-control Result) $(show sluice-control ExecMainStatus)" "success 0"

step "sluiced: ready, reloaded, back after it was killed"
(umask 077 && wg genkey >"$DIR/key") && inside install -m 0600 /dev/stdin /etc/sluice/gateway.key <"$DIR/key"
inside systemctl start sluiced || fail "it does not start: $(said sluiced)"
ready() { inside sluicectl -s /run/sluice/default/mgmt.sock rpc.ping >/dev/null 2>&1; }
lab_wait 20 ready || fail "it is not ready: $(said sluiced)"
equal "its key by wg" "$(inside wg show wg0 public-key)" "$(wg pubkey <"$DIR/key")"
logged sluiced 'EAL: Error' && fail "DPDK complains: $(said sluiced)"
equal "no new privileges" "$(of_main sluiced NoNewPrivs)" 1
inside systemctl reload sluiced || fail "reload"
sleep 0.5
active sluiced || fail "the reload ended it: $(said sluiced)"
inside kill -9 "$(show sluiced MainPID)"
lab_wait 20 again sluiced || fail "it does not come back: $(said sluiced)"
lab_wait 20 ready || fail "it is not ready again: $(said sluiced)"
inside systemctl stop sluiced
equal "after the stop" "$(show sluiced Result) $(show sluiced ExecMainStatus)" "success 0"
equal "failed units" "$(inside systemctl list-units --failed --no-legend --plain 'slui*')" ""
