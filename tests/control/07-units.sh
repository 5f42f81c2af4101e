#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 60
# The units of systemd: they parse, every setting is known, they allow little.
. "$(dirname "$0")/../smoke/lib.sh"
TOP=$(cd "$(dirname "$0")/../.." && pwd)
command -v systemd-analyze >/dev/null || skip "there is no systemd-analyze"
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT

step "they parse, and every setting is known"
for u in sluice-control sluiced; do
	[ -s "$TOP/build/dist/$u.service" ] || fail "the build makes no $u.service"
	grep -q '@' <(grep '^Exec' "$TOP/build/dist/$u.service") && fail "$u.service: a path was not filled in"
	# as installed, but for the program, which need not be installed here
	sed -E "s,^(Exec[A-Za-z]*=)/[^ ]*/s?bin/$u,\1/bin/true," "$TOP/build/dist/$u.service" >"$DIR/$u.service"
	systemd-analyze verify "$DIR/$u.service" 2>"$DIR/said" || fail "$u: $(cat "$DIR/said")"
	! grep -q "$u.service" "$DIR/said" || fail "$u: $(cat "$DIR/said")"
done
sed 's/^NoNewPrivileges/NoNewPrivilege/' "$DIR/sluiced.service" >"$DIR/wrong.service"
systemd-analyze verify "$DIR/wrong.service" 2>&1 | grep -q NoNewPrivilege || fail "a wrong setting is not found: this test finds nothing"

step "what they may do"
exposure() { systemd-analyze security --offline=true "$DIR/$1.service" 2>&1 | sed -n 's/.*Overall exposure level.*: \([0-9]*\)\.\([0-9]\).*/\1\2/p'; }
control=$(exposure sluice-control) gateway=$(exposure sluiced)
echo "   exposure of 100: sluice-control $control, sluiced $gateway"
at_most "exposure of sluice-control" "${control:-99}" 20
at_most "exposure of sluiced" "${gateway:-99}" 70
