#!/usr/bin/env python3
"""The commands of README.md's tour and of docs/vfm-test.md print what the pages show. "..." stands for lines that are not shown. Runs in
a directory of its own with links to the tree, so that the paths of the pages hold for every kind of build."""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))


def commands(name):
    """[command, [line, ...]] for every line "    $ command" of the page."""
    out = []
    with open(os.path.join(ROOT, name), encoding="utf-8") as page:
        for line in page:
            if line.startswith("    $ "):
                out.append([line[6:].rstrip("\n"), []])
            elif line.startswith("    ") and out and out[-1][1] is not None:
                out[-1][1].append(line[4:].rstrip("\n"))
            elif out and line.strip():
                if out[-1][1] is not None:
                    out.append(["true", None])  # the block is over
    return [c for c in out if c[1] is not None]


def matches(shown, printed):
    pattern = "\n".join(r"(?:.*\n)*?.*" if line == "..." else re.escape(line) for line in shown)
    return re.fullmatch(pattern, printed.rstrip("\n")) is not None


def main():
    failed = 0
    found = commands("README.md") + commands("docs/vfm-test.md")
    with tempfile.TemporaryDirectory() as place:
        os.symlink(os.path.join(ROOT, "examples"), os.path.join(place, "examples"))
        os.mkdir(os.path.join(place, "build"))
        for name in ("bin", "test"):
            os.symlink(os.path.join(BUILD, name), os.path.join(place, "build", name))
        for command, shown in found:
            done = subprocess.run(["bash", "-c", command], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  timeout=60, check=False)
            good = matches(shown, done.stdout)
            failed += not good
            print(f"{'ok' if good else 'not ok'} - {command}")
            if not good:
                print("\n".join("#   printed: " + line for line in done.stdout.splitlines()[:40]))
    if len(found) < 5:
        print("not ok - the page has a tour")
        failed += 1
    sys.exit(failed != 0)


main()
