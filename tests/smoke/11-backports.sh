#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The same with the wireguard-go of bookworm-backports, which sends UDP segmentation batches. Fetched with apt into the
# build directory, with lists and caches of its own; the system's packages stay as they are.
. "$(dirname "$0")/lib.sh"

dir=$LAB_BUILD/backports
fetch() {
	local apt=(-o "Dir::Etc::sourcelist=$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o "Dir::State::lists=$dir/lists" -o "Dir::Cache=$dir/cache" -o APT::Sandbox::User=root -o Debug::NoLocking=1
		-o Acquire::Languages=none -o Acquire::http::Timeout=20 -o Acquire::Retries=1)
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm-backports main" \
		>"$dir/sources.list"
	apt-get "${apt[@]}" update -q >"$dir/log" 2>&1 &&
		(cd "$dir" && apt-get "${apt[@]}" download -q wireguard-go >>"$dir/log" 2>&1) &&
		dpkg-deb -x "$dir"/wireguard-go_*.deb "$dir/root"
}
WG_GO=$dir/root/usr/bin/wireguard-go
[ -x "$WG_GO" ] || fetch || skip "wireguard-go of bookworm-backports cannot be fetched: $(tail -n 1 "$dir/log")"
version=$("$WG_GO" --version | head -n 1)
case $version in
*0.0.20220316*) skip "backports offer no newer wireguard-go than Debian 12 itself" ;;
esac
step "$version"
smoke_start alice
basic_traffic alice
no_fatal_drops
