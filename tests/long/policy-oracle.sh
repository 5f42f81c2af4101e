#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 2400
# A million pairs of a random policy and a random packet: the naive evaluator in Python against the tables of the data path, and
# a million packets more through a whole gateway, some of them explained by it. SEED repeats a run; the suites eal and replay do
# the same for less.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PYTHONDONTWRITEBYTECODE=1
PAIRS=${PAIRS:-1000000} /usr/bin/python3 tests/eal/authz/test_oracle.py build/tests/eal/authz/judge_driver
PACKETS=4000 DOCUMENTS=${DOCUMENTS:-450} EXPLAINED=200 /usr/bin/python3 tests/replay/test_oracle.py \
	build/app/replay/sluice-replay build/tests/replay/lockstep
