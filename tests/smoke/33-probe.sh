#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# What strangers send to the listen port is counted under its reason and never answered.
. "$(dirname "$0")/lib.sh"

smoke_start alice
reach alice 10.20.0.10
probe=$LAB_ID-probe
lab_netns "$probe"
lab_veth "$probe" eth0 "$NET" probe
ip -n "$NET" link set probe master br0
lab_addr "$probe" eth0 198.18.5.66/24 2001:db8:5::66/64
# resolve first: ARP and ND are answered
ip netns exec "$probe" ping -c 1 -W 2 198.18.5.2 >/dev/null || fail "no echo from the outer address"
ip netns exec "$probe" ping -c 1 -W 2 2001:db8:5::2 >/dev/null || fail "no echo from the outer IPv6 address"

capture "$probe" eth0 'src host 198.18.5.2 or src host 2001:db8:5::2'
ip netns exec "$probe" /usr/bin/python3 "$SMOKE/probe.py" 198.18.5.2 2001:db8:5::2 || fail "probe.py"
lab_wait 5 eval '[ "$(drop no_listener)" -ge 12 ]' || fail "no_listener is $(drop no_listener), wanted 12 or more"
equal "not_wireguard" "$(drop not_wireguard)" 30
equal "wg_length" "$(drop wg_length)" 20
equal "wg_index" "$(drop wg_index)" 30 # data, responses and cookie replies
equal "hs_mac1" "$(drop hs_mac1)" 10
lines=$(capture_stop | grep -vE 'ARP|neighbor|echo reply')
equal "answers" "$lines" ""
ping_all alice 10.20.0.10
equal "peers of the gateway" "$(rpc peer.list | jq '.peers | length')" 1
