# SPDX-License-Identifier: BSD-3-Clause
"""Checks that say what differs, and the end of a test script."""
import os
import sys
import time
import traceback


class Failed(Exception):
    pass


def show(v):
    if isinstance(v, (bytes, bytearray)):
        return v.hex() if len(v) <= 160 else "%s... (%d bytes)" % (v[:160].hex(), len(v))
    text = repr(v)
    return text if len(text) <= 1500 else text[:1500] + "..."


def check(ok, what):
    if not ok:
        raise Failed(what)


def equal(got, want, what):
    if got != want:
        raise Failed("%s\n  got  %s\n  want %s" % (what, show(got), show(want)))


def between(got, low, high, what):
    if not low <= got <= high:
        raise Failed("%s: %s is not within %s..%s" % (what, got, low, high))


def raises(kind, fn, *args):
    try:
        fn(*args)
    except kind:
        return
    raise Failed("%s did not raise %s" % (getattr(fn, "__name__", fn), kind.__name__))


def run(*cases, after=None, last=None):
    """Run functions in this order, `after` behind each; CASE=name runs one. `last` returns the exit
    code of what was tested. Exits with 1 if anything failed."""
    only = os.environ.get("CASE")
    bad = 0
    for case in cases:
        if only and case.__name__ != only:
            continue
        start = time.perf_counter()
        try:
            case()
        except Exception as e:  # noqa: BLE001: each case reports, the rest still runs
            bad += 1
            print("FAIL %s: %s" % (case.__name__, e), flush=True)
            if not isinstance(e, Failed):
                traceback.print_exc(file=sys.stdout)
            else:
                frame = traceback.extract_tb(e.__traceback__)
                for f in frame:
                    if os.path.basename(f.filename) != "check.py":
                        print("  at %s:%d %s" % (os.path.basename(f.filename), f.lineno, f.line))
        else:
            print("ok   %s (%.2f s)" % (case.__name__, time.perf_counter() - start), flush=True)
        if after:
            after()
    if last:
        rc = last()
        if rc:
            bad += 1
            print("FAIL exit code of lockstep: %s" % rc)
    sys.exit(1 if bad else 0)
