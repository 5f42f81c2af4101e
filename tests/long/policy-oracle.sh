#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 1500
# A million pairs of a random policy and a random packet: the naive evaluator in Python against the tables of the data path.
# SEED and PAIRS repeat and lengthen a run, as in the suite eal, which does 30,000.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PYTHONDONTWRITEBYTECODE=1 PAIRS=${PAIRS:-1000000}
exec /usr/bin/python3 tests/eal/authz/test_oracle.py build/tests/eal/authz/judge_driver
