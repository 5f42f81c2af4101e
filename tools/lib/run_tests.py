# SPDX-License-Identifier: BSD-3-Clause
"""Run the test suites and count: the back of tools/test.

A suite is a list of (name, command, timeout in seconds, folder to run in). Exit status 77 or 125 of a command means skipped.
Output is shown only of what failed; everything is kept in build-logs/, with the seconds of each test in build-logs/seconds.
"""

import base64
import concurrent.futures
import contextlib
import glob
import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOGS = os.path.join(TOP, "build-logs")
SKIP = (77, 125)


class Builds:
    """What later suites need is built while earlier ones are tested: one build at a time, at a low priority while tests run.
    Many tests wait for most of their time."""
    NICE = 10

    def __init__(self):
        self.worker = concurrent.futures.ThreadPoolExecutor(1)
        self.process = None
        self.waited_for = False
        self.lock = threading.Lock()

    def run(self, flavour, *targets):
        cmd = [os.path.join(TOP, "tools", "build"), flavour, *targets]
        with self.lock:
            nice = [] if self.waited_for else ["nice", "-n", str(self.NICE)]
            self.process = subprocess.Popen(nice + cmd, process_group=0)
        code = self.process.wait()
        with self.lock:
            self.process = None
        if code:
            raise subprocess.CalledProcessError(code, " ".join(cmd))

    def wait(self, future):
        """The tests of a suite, as its function gives them after its builds; nothing else is to do meanwhile."""
        with self.lock:
            self.waited_for = True
            self.renice(0)
        try:
            return future.result()
        finally:
            with self.lock:
                self.waited_for = False
                self.renice(self.NICE)

    def renice(self, nice):
        if self.process:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.setpriority(os.PRIO_PGRP, self.process.pid, nice)


BUILDS = Builds()


def build(flavour, *targets):
    BUILDS.run(flavour, *targets)


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
    names = sorted({w[len(top):] for w in wanted if w.startswith(top) and ".." not in w})
    if names:
        build(flavour, *names)


def build_programs():
    """All but the tests of single modules, which take half of the time."""
    build("release", "build.ninja")
    names = {os.path.relpath(f, os.path.join(TOP, "build")) for t in introspect("build", "targets") if t["build_by_default"] for f in t["filename"]}
    build("release", *sorted(n for n in names if not n.startswith(("tests/unit/", "tests/eal/", "tests/perf/"))))


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
    return [(f"{folder}/{os.path.basename(f)[:-3]}", [f], int(header(f, "timeout") or 120), None) for f in found]


def header(path, key):
    """A script may say `# timeout: SECONDS`, and `# alone: WHY` if no other test may run beside it."""
    with open(path, encoding="utf-8") as f:
        for line in f:
            if line.startswith(f"# {key}:"):
                return line.split(":", 1)[1].strip()
    return None


def alone(test):
    return test[1][0].endswith(".sh") and header(test[1][0], "alone") is not None


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
    build_programs()
    return scripts("smoke")


def suite_control():
    build_programs()
    build_tests("release", "build", "control")
    return meson_tests("build", "control") + scripts("control")


def fuzz_tests(suite, seed, seconds):
    """Every target of tests/fuzz from its seeds, with the dictionary and the largest input that its meson.build names."""
    seed = os.environ.get("SL_FUZZ_SEED", str(seed))
    seconds = int(os.environ.get("SL_FUZZ_SECONDS", seconds))
    print(f"{suite}: {seconds} s a target, SL_FUZZ_SEED={seed}", flush=True)
    fixed = ["setarch", "-R"]  # libFuzzer learns from what is compared, addresses too
    if subprocess.run(fixed + ["true"], stderr=subprocess.DEVNULL).returncode:
        fixed = []
    tests = []
    for name, cmd, _, _ in meson_tests("build-fuzz", "fuzz"):
        name = name.split("/fuzz_")[1]
        scratch = fuzz_scratch(name)
        shutil.rmtree(scratch, ignore_errors=True)  # what an earlier run found would make this one another
        os.makedirs(scratch)
        cmd = fixed + [c for c in cmd if not c.startswith("-runs=")] + [
            f"-max_total_time={seconds}", f"-seed={seed}", "-timeout=10", "-rss_limit_mb=4096", "-print_final_stats=0",
            "-error_exitcode=1",  # its own choice, 77, would count as skipped
            f"-artifact_prefix={scratch}/", scratch]
        tests.append((f"{suite}/{name}", cmd, seconds + 90, None))
    return tests


def fuzz_scratch(target):
    return os.path.join(TOP, "build-fuzz", "corpus-" + target)


def fuzz_input(test, most=4096):
    """The input on which a target ended, as text from which it can be made again: where the run was, files may not stay."""
    if "fuzz" not in test.split("/"):
        return ""
    text = ""
    scratch = fuzz_scratch(test.split("/")[-1])
    for path in [f for kind in ("crash", "leak", "timeout", "oom") for f in sorted(glob.glob(os.path.join(scratch, kind + "-*")))]:
        with open(path, "rb") as f:
            data = f.read()
        cut = f", the first {most}" if len(data) > most else ""
        text += f"{os.path.basename(path)}: {len(data)} bytes{cut}, in base64:\n{base64.encodebytes(data[:most]).decode()}"
    return text


def suite_fuzz():
    build_tests("fuzz", "build-fuzz", "fuzz")
    return fuzz_tests("fuzz", 1, 10)


def suite_long():
    build("release")
    build_tests("fuzz", "build-fuzz", "fuzz")
    return scripts("long") + fuzz_tests("long/fuzz", random.SystemRandom().randrange(1, 1 << 31), 120)


# name -> (function, how many at once)
SUITES = {
    "lint": (suite_lint, 2),
    "unit": (suite_unit, 2),
    "eal": (suite_eal, 2),
    "tsan": (suite_tsan, 1),
    "replay": (suite_replay, 2),
    "smoke": (suite_smoke, 2),
    "control": (suite_control, 2),
    "fuzz": (suite_fuzz, 2),
    "long": (suite_long, 1),
}
# Real clients on real clocks: what fails on a busy machine is run once more, alone, and said.
AGAIN = {"smoke", "control"}
# First those that wait the most, beside which the other builds are made.
DEFAULT = ["lint", "control", "smoke", "eal", "unit", "tsan", "replay", "fuzz"]


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


# A line that says what failed, wherever it stands in a log.
SAYS = re.compile(r"^FAIL|: not so: |: Assertion |runtime error:|^==\d+== ?ERROR: ")


def tail(log, lines=40):
    """The last lines, and before them those that say what failed: a script's log ends with the logs of its programs."""
    with open(log, errors="replace") as f:
        text = f.readlines()
    return "".join([t for t in text[:-lines] if SAYS.search(t)][:20] + text[-lines:])


def run_all(suite, tests, parallel):
    """The results in the order of the tests: first those that run beside others, then each that must be alone."""
    beside = [t for t in tests if not alone(t)]
    with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
        results = dict(zip((t[0] for t in beside), pool.map(run_one, beside)))
    for t in tests:
        if t[0] not in results:
            results[t[0]] = run_one(t)
        if suite in AGAIN and results[t[0]][1] not in (0, *SKIP):
            results[t[0]] = once_more(t, results[t[0]])
    return [results[t[0]] for t in tests]


def report(results):
    """Tell of what failed or was skipped; how many passed, failed, were skipped."""
    counts = [0, 0, 0]
    for name, code, seconds, log in results:
        kind = 0 if code == 0 else 2 if code in SKIP else 1
        counts[kind] += 1
        if kind == 1:
            print(f"FAIL  {name} (status {code}, {seconds:.0f} s)\n{tail(log)}{fuzz_input(name)}", flush=True)
        elif kind == 2:
            print(f"SKIP  {name}: {tail(log, 1).strip()}", flush=True)
    with open(os.path.join(LOGS, "seconds"), "a") as f:
        f.writelines(f"{seconds:7.1f} {name}\n" for name, _, seconds, _ in results)
    return counts


def main(argv):
    if argv == ["--list"]:
        print("\n".join(SUITES))
        return 0
    unknown = [a for a in argv if a.split("/")[0] not in SUITES]
    if unknown:
        print(f"tools/test: no suite {unknown[0]!r}; there are: {' '.join(SUITES)} (or SUITE/TEST)", file=sys.stderr)
        return 2
    os.makedirs(LOGS, exist_ok=True)
    open(os.path.join(LOGS, "seconds"), "w").close()
    passed = failed = skipped = 0
    made = [(arg, BUILDS.worker.submit(SUITES[arg.split("/")[0]][0])) for arg in argv or DEFAULT]
    for arg, future in made:
        suite, _, only = arg.partition("/")
        parallel = SUITES[suite][1]
        try:
            tests = BUILDS.wait(future)
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
        counts = report(run_all(suite, tests, parallel))
        print(f"{suite}: {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped ({time.monotonic() - start:.0f} s)", flush=True)
        passed, failed, skipped = passed + counts[0], failed + counts[1], skipped + counts[2]
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


sys.exit(main(sys.argv[1:]))
