#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 1500
# The container image, built without a daemon on a base made by debootstrap, runs the gateway's own checks. The base is
# kept in the build directory.
set -uo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
work=${LAB_BUILD:-$top/build}/image
for p in buildah debootstrap; do
	command -v $p >/dev/null || { echo "skipped: $p is not installed"; exit 77; }
done
fail() {
	echo "FAIL: $*"
	exit 1
}
mkdir -p "$work"
B=(buildah --root "$work/root" --runroot "$work/run" --storage-driver vfs)
if ! "${B[@]}" inspect --type image localhost/debian-base:bookworm >/dev/null 2>&1; then
	echo "-- base"
	rm -rf "$work/rootfs"
	debootstrap --variant=minbase bookworm "$work/rootfs" http://deb.debian.org/debian >"$work/debootstrap.log" 2>&1 ||
		{ tail -n 3 "$work/debootstrap.log"; echo "skipped: debootstrap has no network"; exit 77; }
	c=$("${B[@]}" from scratch) && "${B[@]}" add -q "$c" "$work/rootfs" / >/dev/null &&
		"${B[@]}" commit -q "$c" localhost/debian-base:bookworm >/dev/null || fail "the base image"
	"${B[@]}" rm "$c" >/dev/null
	rm -rf "$work/rootfs"
fi

echo "-- image"
rm -rf "$work/context"
mkdir "$work/context"
git -C "$top" ls-files -z -co --exclude-standard | (cd "$top" && xargs -0 -I{} sh -c '[ -e "$1" ] && printf "%s\0" "$1"' _ {}) |
	tar -C "$top" --null -T - -cf - | tar -C "$work/context" -xf - || fail "the context"
# the container's root file system is the isolation here; no kernel feature beyond chroot is needed
"${B[@]}" bud --isolation chroot --network host --build-arg BASE=localhost/debian-base:bookworm -t sluice \
	-f "$work/context/Dockerfile" "$work/context" >"$work/bud.log" 2>&1 || { tail -n 40 "$work/bud.log"; fail "buildah bud"; }

echo "-- run"
c=$("${B[@]}" from localhost/sluice) || fail "buildah from"
trap '"${B[@]}" rm "$c" >/dev/null 2>&1; rm -rf "$work/context"' EXIT
run() { "${B[@]}" run --isolation chroot --network host "$c" -- "$@"; }
out=$(run /usr/sbin/sluiced --version) || fail "sluiced --version: $out"
echo "   $out"
grep -q '^sluiced [0-9]' <<<"$out" && grep -q DPDK <<<"$out" || fail "sluiced --version says $out"
run sh -c 'umask 077; mkdir -p /etc/sluice; wg genkey >/etc/sluice/wg0.key' || fail "a key in the container"
out=$(run /usr/sbin/sluiced --check -c /usr/share/doc/sluice/sluice.conf) || fail "--check of the example: $out"
echo "   $out"
run sh -c 'sluicectl --version && ls /usr/lib/*/dpdk/pmds-*/librte_net_af_packet.so*' >/dev/null || fail "sluicectl or the drivers are missing"
run sh -c '! ls /usr/bin/gcc /usr/bin/meson 2>/dev/null' || fail "the compiler is in the last stage"
echo "   size: $("${B[@]}" images --format '{{.Size}}' localhost/sluice)"
