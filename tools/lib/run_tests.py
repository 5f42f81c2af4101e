# SPDX-License-Identifier: BSD-3-Clause
"""Run the test suites and count: the back of tools/test.

A suite is a list of (name, command, timeout in seconds, folder to run in). Exit status 77 or 125 of a command means skipped.
Output is shown only of what failed; everything is kept in build-logs/, with the seconds of each test in build-logs/seconds.
"""

import base64
import collections
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
LOW = 10  # the nice value of what runs beside tests on real clocks


def prioritize(process, nice):
    """Of a process in a session of its own, and of all that it began."""
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        os.setpriority(os.PRIO_PGRP, process.pid, nice)
    # a kernel that shares the CPU among sessions first asks how nice a session is
    with contextlib.suppress(OSError), open(f"/proc/{process.pid}/autogroup", "w", encoding="ascii") as f:
        f.write(str(nice))


class Builds:
    """What later suites need is built while earlier ones are tested: one build at a time, at a low priority while tests run.
    Many tests wait for most of their time."""

    def __init__(self):
        self.worker = concurrent.futures.ThreadPoolExecutor(1)
        self.process = None
        self.waited_for = False
        self.lock = threading.Lock()

    def run(self, flavour, *targets):
        cmd = [os.path.join(TOP, "tools", "build"), flavour, *targets]
        with self.lock:
            self.process = subprocess.Popen(cmd, start_new_session=True)
            self.renice()
        code = self.process.wait()
        with self.lock:
            self.process = None
        if code:
            raise subprocess.CalledProcessError(code, " ".join(cmd))

    def wait(self, future):
        """The tests of a suite, as its function gives them after its builds; nothing else is to do meanwhile."""
        with self.lock:
            self.waited_for = True
            self.renice()
        try:
            return future.result()
        finally:
            with self.lock:
                self.waited_for = False
                self.renice()

    def renice(self):
        if self.process:
            prioritize(self.process, 0 if self.waited_for else LOW)


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
# Real clients on real clocks, which wait for most of their time: what fails on a busy machine is run once more, alone, and said.
REAL = {"smoke", "control"}
# What these find does not depend on how long it takes: while REAL suites run, they are built and run beside them.
BESIDE = {"unit", "replay"}
# First those that wait the most, beside which the other builds are made.
DEFAULT = ["lint", "control", "smoke", "unit", "eal", "replay", "tsan", "fuzz"]


class Part:
    """An argument: tests of a suite, built in the background. Whoever has time for one takes it from those that are left."""

    def __init__(self, arg):
        self.arg = arg
        self.suite, _, self.only = arg.partition("/")
        self.left = collections.deque()
        self.results = {}
        self.built = BUILDS.worker.submit(self.build)

    def build(self):
        tests = [t for t in SUITES[self.suite][0]() if not self.only or t[0].startswith(self.arg)]
        # a long one that begins late would be waited for alone
        self.left.extend(sorted((t for t in tests if not alone(t)), key=lambda t: -t[2]))
        return tests

    def take(self, run):
        """@return False if none is left."""
        try:
            test = self.left.popleft()
        except IndexError:
            return False
        self.results[test[0]] = run(test)
        return True


class Beside:
    """Tests of BESIDE suites, one at a time and at a low priority, while those of REAL suites run."""

    def __init__(self, parts):
        self.lock = threading.Lock()
        self.process = None
        self.ended = False
        self.may = threading.Event()  # no test runs that must be alone
        self.running = threading.Lock()
        self.may.set()
        self.worker = concurrent.futures.ThreadPoolExecutor(1)
        self.work = self.worker.submit(self.run, parts)

    def run(self, parts):
        for part in parts:
            concurrent.futures.wait([part.built])
            while not self.ended:
                self.may.wait()
                with self.running:
                    if not part.take(lambda t: run_one(t, self.began)):
                        break

    def began(self, process):
        with self.lock:
            self.process = process
            prioritize(process, 0 if self.ended else LOW)

    @contextlib.contextmanager
    def quiet(self):
        self.may.clear()
        try:
            with self.running:
                yield
        finally:
            self.may.set()

    def end(self):
        """What is left is for their suites' own turn; one that runs goes on like any other."""
        with self.lock:
            self.ended = True
            if self.process and self.process.poll() is None:
                prioritize(self.process, 0)


def run_one(test, began=lambda process: None):
    name, cmd, timeout, workdir = test
    log = os.path.join(LOGS, name.replace("/", "-") + ".log")
    start = time.monotonic()
    with open(log, "wb") as f:
        proc = subprocess.Popen(cmd, stdout=f, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=workdir or TOP,
                                start_new_session=True)
        began(proc)
        try:
            code = proc.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            code = stop(proc)
            f.write(f"\nstopped after {timeout} s\n".encode())
    return name, code, time.monotonic() - start, log


def once_more(test, first):
    """@return the second result, and whether that alone is a success."""
    kept = first[3] + ".first"
    os.replace(first[3], kept)
    second = run_one(test)
    if second[1]:
        return second, False
    # files may not stay where this runs
    print(f"AGAIN {test[0]}: failed first (status {first[1]}, {first[2]:.0f} s, kept in {kept}), passed alone\n{tail(kept)}", flush=True)
    return second, True


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


def run_all(part, tests, beside):
    """The results in the order of the tests: first those that run beside others, then each that must be alone. And the names of
    those that passed only the second time."""
    with concurrent.futures.ThreadPoolExecutor(SUITES[part.suite][1]) as pool:
        for f in [pool.submit(take_all, part) for _ in range(SUITES[part.suite][1])]:
            f.result()
    if beside and beside.ended:
        beside.work.result()  # it may have a test of this suite in hand
    again = []
    for t in tests:
        if t[0] not in part.results:
            with beside.quiet() if beside else contextlib.nullcontext():
                part.results[t[0]] = run_one(t)
        if part.suite in REAL and part.results[t[0]][1] not in (0, *SKIP):
            with beside.quiet() if beside else contextlib.nullcontext():
                part.results[t[0]], passed = once_more(t, part.results[t[0]])
            again += [t[0]] * passed
    return [part.results[t[0]] for t in tests], again


def take_all(part):
    while part.take(run_one):
        pass


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
    for f in glob.glob(os.path.join(LOGS, "*.first")):
        os.remove(f)  # of an earlier run
    passed = failed = skipped = 0
    again, beside = [], None
    parts = [Part(arg) for arg in argv or DEFAULT]
    for part in parts:
        try:
            tests = BUILDS.wait(part.built)
        except subprocess.CalledProcessError as e:
            print(f"FAIL  {part.suite}: {e}")
            failed += 1
            continue
        if not tests:
            print(f"FAIL  {part.suite}: no test matches {part.arg!r}")
            failed += 1
            continue
        if part.suite in REAL:
            beside = beside or Beside([p for p in parts if p.suite in BESIDE])
        elif beside:
            beside.end()
        start = time.monotonic()
        results, second = run_all(part, tests, beside)
        counts = report(results)
        print(f"{part.suite}: {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped ({time.monotonic() - start:.0f} s)", flush=True)
        passed, failed, skipped = passed + counts[0], failed + counts[1], skipped + counts[2]
        again += second
    if again:
        print(f"{len(again)} of these passed only the second time, alone: {' '.join(again)}; first logs: {LOGS}/*.log.first")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


sys.exit(main(sys.argv[1:]))
