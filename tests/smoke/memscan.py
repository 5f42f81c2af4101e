# SPDX-License-Identifier: BSD-3-Clause
"""Where key bytes stand: raw, base64 and hex.

memscan.py file FILE KEYFILE...		none may be in the file
memscan.py process PID KEYFILE...	only in mappings that are locked and left out of dumps; says where
memscan.py gone PID KEYFILE...		nowhere
memscan.py dumpable PID			status 1 if the process is dumpable
"""

import base64
import ctypes
import os
import re
import sys


def needles(files):
    out = []
    for f in files:
        with open(f, encoding="ascii") as fh:
            text = fh.read().strip()
        raw = base64.b64decode(text)
        # the last character of base64 carries bits of the key, '=' none
        out += [(f, "raw", raw), (f, "base64", text[:43].encode()), (f, "hex", raw.hex().encode())]
        # X25519 clamps a private key; a clamped copy is the same secret
        clamped = bytes([raw[0] & 248]) + raw[1:31] + bytes([raw[31] & 127 | 64])
        if clamped != raw:
            out.append((f, "clamped", clamped))
    return out


def mappings(pid):
    """(start, end, perms, name, VmFlags) of smaps."""
    head = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)$")
    out = []
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as f:
        for line in f:
            m = head.match(line)
            if m:
                out.append([int(m[1], 16), int(m[2], 16), m[3], m[4], set(), 0, 0])
            elif line.startswith("VmFlags:"):
                out[-1][4] = set(line.split()[1:])
            elif line.startswith("Rss:"):
                out[-1][5] = int(line.split()[1])
            elif "Hugetlb:" in line:
                out[-1][6] += int(line.split()[1])
    return out


def scan_process(pid, files):
    """Yields (keyfile, form, address, mapping). Reads what is resident only."""
    wanted = needles(files)
    longest = max(len(n[2]) for n in wanted)
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem, open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pm:
        for m in mappings(pid):
            start, end, perms, name = m[:4]
            if "r" not in perms and "w" not in perms and not (m[5] or m[6]):
                continue
            if name in ("[vvar]", "[vsyscall]", "[vdso]"):
                continue
            for at, data in chunks(mem, pm, start, end, longest):
                for f, form, needle in wanted:
                    i = data.find(needle)
                    while i >= 0:
                        yield f, form, at + i, m
                        i = data.find(needle, i + 1)


def chunks(mem, pm, start, end, overlap):
    page = 4096
    step = 1 << 21
    at = start
    while at < end:
        size = min(step, end - at)
        pm.seek(at // page * 8)
        entries = pm.read((size // page) * 8)
        present = any(entries[i + 7] & 0xC0 for i in range(0, len(entries), 8))
        if present:
            mem.seek(at)
            try:
                data = mem.read(size + overlap if at + size < end else size)
                yield at, data
            except OSError:
                # guard pages: page by page
                for p in range(at, at + size, page):
                    try:
                        mem.seek(p)
                        yield p, mem.read(page)
                    except OSError:
                        pass
        at += size


def main(argv):
    what = argv[0]
    if what == "file":
        with open(argv[1], "rb") as f:
            data = f.read()
        bad = [n for n in needles(argv[2:]) if n[2] in data]
        for f, form, _ in bad:
            print(f"{os.path.basename(f)} as {form}")
        return 1 if bad else 0
    if what == "dumpable":
        # the kernel gives the files of an undumpable process to root; a dumpable one of ours has the filter as well
        return 0 if prctl_dumpable(argv[1]) else 1
    bad = 0
    seen = set()
    for f, form, address, m in scan_process(argv[1], argv[2:]):
        locked = "lo" in m[4] or m[6] > 0
        undumped = "dd" in m[4]
        where = m[3] or "anonymous"
        ok = what == "process" and locked and undumped
        line = f"   {os.path.basename(f)} as {form} in {where} {m[2]}{' locked' if locked else ''}{' not dumped' if undumped else ''}"
        if line not in seen or not ok:
            print(line + (f" at {address:x}" if not ok else ""))
        seen.add(line)
        bad += not ok
    if what == "process" and not seen:
        print("   found no key at all: the scan is wrong")
        return 1
    return 1 if bad else 0


def prctl_dumpable(pid):
    """PR_SET_DUMPABLE 0 shows itself: a process of the same user without CAP_SYS_PTRACE may not read its files."""
    child = os.fork()
    if child == 0:
        try:
            libc = ctypes.CDLL(None)
            # give up all capabilities in effect, stay root by name
            libc.prctl(24, 19, 0, 0, 0)  # PR_CAPBSET_DROP CAP_SYS_PTRACE
            header = (ctypes.c_uint32 * 2)(0x20080522, 0)
            data = (ctypes.c_uint32 * 6)()
            libc.capset(header, data)
            os.readlink(f"/proc/{pid}/exe")
            os._exit(1)
        except PermissionError:
            os._exit(0)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


sys.exit(main(sys.argv[1:]))
