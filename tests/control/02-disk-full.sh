#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The disk of the store fills up: a clear error, nothing half done, the old state serves; with room again it goes on.
. "$(dirname "$0")/../smoke/lib.sh"
TOP=$(cd "$(dirname "$0")/../.." && pwd)
if [ "${1:-}" != inside ]; then
	DIR=$(mktemp -d)
	trap 'rm -rf "$DIR"' EXIT
	unshare -m true 2>/dev/null || skip "no mount namespaces here"
	# the mount ends with the namespace
	unshare -m --propagation private "$0" inside "$DIR"
	exit $?
fi
DIR=$2
mount -t tmpfs -o size=2m,mode=700 sluice-test "$DIR" || skip "no tmpfs here"
sc() { "$TOP/build/app/control/sluice-control" "$@" --state-dir "$DIR/state"; }
sc init --no-ca >/dev/null || fail init
n=$(sc status --json | jq .objects.token)
head -c 10m /dev/zero >"$DIR/ballast" 2>/dev/null
# what is left of the last page may still hold a small change
full=
for i in $(seq 40); do
	before=$(sc status --json | jq -c '[.head, .hash]')
	if ! sc token create --role viewer --description "$(printf 'x%.0s' {1..900})" >/dev/null 2>"$DIR/../err.$$"; then
		full=$(cat "$DIR/../err.$$")
		break
	fi
	n=$((n + 1))
done
rm -f "$DIR/../err.$$"
grep -q 'disk is full' <<<"$full" || fail "no word of a full disk: $full"
grep -q 'make room' <<<"$full" || fail "no remedy: $full"

step "the state before serves"
equal "seq and hash" "$(sc status --json | jq -c '[.head, .hash]')" "$before"
equal "tokens" "$(sc status --json | jq .objects.token)" "$n"
sc verify >/dev/null || fail "the store is not whole"

step "no backup in part, no token in part"
sc backup "$DIR/b" >/dev/null 2>&1 && fail "a backup found room"
[ ! -e "$DIR/b" ] || fail "a piece of a backup is left"

step "with room again it goes on"
rm "$DIR/ballast"
sc token create --role viewer >/dev/null || fail "token create"
equal "tokens" "$(sc status --json | jq .objects.token)" $((n + 1))
sc backup "$DIR/b" || fail backup
sc verify >/dev/null || fail "the store is not whole"
exit 0
