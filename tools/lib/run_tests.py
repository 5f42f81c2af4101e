# SPDX-License-Identifier: BSD-3-Clause
"""Run the test suites and count: the back of tools/test.

A suite is a list of (name, command, timeout in seconds). Exit status 77 or 125 of a command means skipped. Output
is shown only of what failed; everything is kept in build-logs/.
"""

import concurrent.futures
import glob
import json
import os
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOGS = os.path.join(TOP, "build-logs")
SKIP = (77, 125)


def build(flavour, *targets):
    subprocess.run([os.path.join(TOP, "tools", "build"), flavour, *targets], check=True)


def introspect(directory, what):
    out = subprocess.run(["meson", "introspect", "--" + what, directory], cwd=TOP, capture_output=True, text=True, check=True)
    return json.loads(out.stdout)


def build_tests(flavour, directory, suite):
    """Build only what the tests of a suite run: their programs, and those that they depend on."""
    build(flavour, "build.ninja")
    top = os.path.join(TOP, directory) + os.sep
    files = {t["id"]: t["filename"] for t in introspect(directory, "targets")}
    wanted = set()
    for t in introspect(directory, "tests"):
        if in_suite(t, suite):
            wanted.update(t["cmd"])
            wanted.update(f for d in t["depends"] for f in files[d])
    build(flavour, *sorted({w[len(top):] for w in wanted if w.startswith(top) and ".." not in w}))


def in_suite(test, suite):
    return any(s.split(":")[-1] == suite for s in test["suite"])


def meson_tests(directory, suite, timeout_factor=1):
    """The tests of a meson build directory that belong to a suite."""
    tests = []
    for t in introspect(directory, "tests"):
        if in_suite(t, suite):
            env = [f"{k}={v}" for k, v in t.get("env", {}).items()]
            cmd = (["env"] + env if env else []) + t["cmd"]
            tests.append((f"{suite}/{t['name']}", cmd, max(t.get("timeout") or 30, 30) * timeout_factor, t.get("workdir") or os.path.join(TOP, directory)))
    return tests


def scripts(folder):
    found = [f for f in sorted(glob.glob(os.path.join(TOP, "tests", folder, "*.sh"))) if os.access(f, os.X_OK)]
    return [(f"{folder}/{os.path.basename(f)[:-3]}", [f], timeout_of(f), None) for f in found]


def timeout_of(path, default=120):
    """A script may say `# timeout: N` (seconds)."""
    with open(path, encoding="utf-8") as f:
        for line in f:
            if line.startswith("# timeout:"):
                return int(line.split(":")[1])
    return default


def suite_lint():
    return [("lint/" + n, [os.path.join(TOP, "tools", "lint"), n], 120, None) for n in
            subprocess.run([os.path.join(TOP, "tools", "lint"), "--list"], capture_output=True, text=True, check=True).stdout.split()]


def suite_unit():
    build_tests("asan", "build-asan", "unit")
    return meson_tests("build-asan", "unit", 3)


def suite_eal():
    build("release")
    return meson_tests("build", "eal")


def suite_tsan():
    build_tests("tsan", "build-tsan", "tsan")
    return meson_tests("build-tsan", "tsan", 3)


def suite_replay():
    build("release")
    return meson_tests("build", "replay")


def suite_smoke():
    build("release")
    return scripts("smoke")


def suite_control():
    build("release")
    return meson_tests("build", "control") + scripts("control")


def suite_fuzz():
    build("fuzz", "build.ninja")
    build("fuzz", *sorted(os.path.relpath(f, os.path.join(TOP, "build-fuzz")) for t in introspect("build-fuzz", "targets")
                          if t["name"].startswith("fuzz_") for f in t["filename"]))
    seconds = os.environ.get("SL_FUZZ_SECONDS", "10")
    tests = []
    for exe in sorted(glob.glob(os.path.join(TOP, "build-fuzz", "tests", "fuzz", "*", "fuzz_*"))):
        if not os.path.isfile(exe) or not os.access(exe, os.X_OK):
            continue
        name = os.path.basename(exe)[len("fuzz_"):]
        corpus = os.path.join(TOP, "tests", "fuzz", name, "corpus")
        scratch = os.path.join(TOP, "build-fuzz", "corpus-" + name)
        os.makedirs(scratch, exist_ok=True)
        cmd = [exe, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=4096", "-print_final_stats=0",
               "-error_exitcode=1",  # its own choice, 77, would count as skipped
               f"-artifact_prefix={scratch}/", scratch] + ([corpus] if os.path.isdir(corpus) else [])
        tests.append(("fuzz/" + name, cmd, int(seconds) + 90, None))
    return tests


def suite_long():
    build("release")
    return scripts("long")


# name -> (function, how many at once)
SUITES = {
    "lint": (suite_lint, 2),
    "unit": (suite_unit, 2),
    "eal": (suite_eal, 2),
    "tsan": (suite_tsan, 1),
    "replay": (suite_replay, 2),
    "smoke": (suite_smoke, 1),
    "control": (suite_control, 2),
    "fuzz": (suite_fuzz, 2),
    "long": (suite_long, 1),
}
# Real clients on real clocks: what fails on a busy machine is run once more, alone, and said.
AGAIN = {"smoke", "control"}
DEFAULT = ["lint", "unit", "eal", "tsan", "replay", "smoke", "control", "fuzz"]


def run_one(test):
    name, cmd, timeout, workdir = test
    log = os.path.join(LOGS, name.replace("/", "-") + ".log")
    start = time.monotonic()
    with open(log, "wb") as f:
        proc = subprocess.Popen(cmd, stdout=f, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=workdir or TOP,
                                start_new_session=True)
        try:
            code = proc.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            code = stop(proc)
            f.write(f"\nstopped after {timeout} s\n".encode())
    return name, code, time.monotonic() - start, log


def once_more(test, first):
    os.replace(first[3], first[3] + ".first")
    second = run_one(test)
    if second[1] == 0:
        print(f"AGAIN {test[0]}: failed once (see {first[3]}.first), passed alone", flush=True)
    return second


def stop(proc):
    """SIGTERM to the test itself, so that its own clean-up runs; then its whole process group."""
    proc.terminate()
    try:
        proc.wait(timeout=15)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(proc.pid, 9)
    except ProcessLookupError:
        pass
    proc.wait()
    return 124


def tail(log, lines=40):
    """The last lines, and before them those that say what failed: a script's log ends with the logs of its programs."""
    with open(log, errors="replace") as f:
        text = f.readlines()
    return "".join([t for t in text[:-lines] if t.startswith("FAIL")] + text[-lines:])


def main(argv):
    if argv == ["--list"]:
        print("\n".join(SUITES))
        return 0
    unknown = [a for a in argv if a.split("/")[0] not in SUITES]
    if unknown:
        print(f"tools/test: no suite {unknown[0]!r}; there are: {' '.join(SUITES)} (or SUITE/TEST)", file=sys.stderr)
        return 2
    wanted = argv or DEFAULT
    os.makedirs(LOGS, exist_ok=True)
    passed = failed = skipped = 0
    for arg in wanted:
        suite, _, only = arg.partition("/")
        make, parallel = SUITES[suite]
        try:
            tests = make()
        except subprocess.CalledProcessError as e:
            print(f"FAIL  {suite}: {e}")
            failed += 1
            continue
        tests = [t for t in tests if not only or t[0] == arg or t[0].startswith(arg)]
        if not tests:
            print(f"FAIL  {suite}: no test matches {arg!r}")
            failed += 1
            continue
        start = time.monotonic()
        counts = [0, 0, 0]
        with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
            results = list(pool.map(run_one, tests))
        if suite in AGAIN:
            results = [r if r[1] == 0 or r[1] in SKIP else once_more(t, r) for t, r in zip(tests, results)]
        for name, code, seconds, log in results:
            kind = 0 if code == 0 else 2 if code in SKIP else 1
            counts[kind] += 1
            if kind == 1:
                print(f"FAIL  {name} (status {code}, {seconds:.0f} s)\n{tail(log)}", flush=True)
            elif kind == 2:
                print(f"SKIP  {name}: {tail(log, 1).strip()}", flush=True)
        print(f"{suite}: {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped ({time.monotonic() - start:.0f} s)", flush=True)
        passed, failed, skipped = passed + counts[0], failed + counts[1], skipped + counts[2]
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


sys.exit(main(sys.argv[1:]))
