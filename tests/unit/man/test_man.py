# SPDX-License-Identifier: BSD-3-Clause
"""The man pages name each option that --help names, no other one, and groff has nothing to say of them."""
import re
import shutil
import subprocess
import sys

OPTION = re.compile(r"(?<![\w-])(--?[a-zA-Z][a-z-]*)(?![\w])")


def options(text):
    return {o for o in OPTION.findall(text) if o.startswith("--") or len(o) == 2}


def help_of(program, page):
    texts = [subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout]
    if page.endswith("sluice-control.8"):
        for c in re.findall(r"^  ([a-z]+)  ", texts[0], re.M):
            texts.append(subprocess.run([program, c, "--help"], capture_output=True, text=True, check=True).stdout)
    if page.endswith("sluicectl.1"):  # its commands have options of their own, which its help tells
        texts[0] = texts[0].split("\nCommands:")[0] + "\n".join(l for l in texts[0].splitlines() if "no gateway is asked" in l)
    return "\n".join(texts)


def main():
    bad = []
    for page, program in zip(sys.argv[1::2], sys.argv[2::2]):
        with open(page, encoding="utf-8") as f:
            text = re.sub(r"\\f[BIR]", "", f.read()).replace("\\-", "-")
        said, told = options(help_of(program, page)), options(text)
        bad += [f"{page}: {o} of --help is missing" for o in sorted(said - told)]
        bad += [f"{page}: --help has no {o}" for o in sorted(told - said)]
        if shutil.which("groff"):
            warned = subprocess.run(["groff", "-man", "-ww", "-z", "-Tutf8", "-Kutf8", page], capture_output=True, text=True, check=False)
            bad += warned.stderr.splitlines()
    print("\n".join(bad))
    return 1 if bad else 0


sys.exit(main())
