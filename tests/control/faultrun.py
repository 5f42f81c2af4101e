# SPDX-License-Identifier: BSD-3-Clause
"""How a random test of faults is run: PROGRAM SECONDS [SEED]. What it leaves is kept if it fails."""

import asyncio
import os
import random
import shutil
import socket
import sys
import time


class Failed(Exception):
    pass


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(seconds, enough):
    """Of a run that begins now, a function that tells whether it is over: after so many seconds, or as soon as enough() has happened, within
    three times as many: a busy machine is slower."""
    begun = time.monotonic()

    def over():
        took = time.monotonic() - begun
        return took >= seconds and (enough() or took >= 3 * seconds)
    return over


async def together(*work):
    """Where one fails the others end too, before anything is cleaned up: they would start programs again."""
    tasks = [asyncio.create_task(w) for w in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for t in tasks:
            t.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def run(make):
    seconds = float(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}: {os.path.basename(sys.argv[0])} {seconds:g} {seed} makes the same choices", flush=True)
    t = make(seconds, seed)
    ok = False
    try:
        await t.run()
        ok = True
    except Failed as e:
        print("FAIL:", e)
    finally:
        await t.stop(ok)
        if ok:
            shutil.rmtree(t.dir)
        else:
            print("kept:", t.dir)
    return 0 if ok else 1


def main(make):
    """Run make(seconds, seed).run(), then stop(ok), and end."""
    sys.exit(asyncio.run(run(make)))
