#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 120
# Another program copies the store's WAL while the server runs, as Litestream does.
exec /usr/bin/python3 "$(dirname "$0")/foreign_reader.py"
