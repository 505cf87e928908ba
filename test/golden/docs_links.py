#!/usr/bin/env python3
"""The pages hold together: every relative link of a *.md file leads to a file (and to a heading, where it names one), and every
`make GOAL` that a page mentions is a goal of the Makefile's help."""
import os
import re
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def pages():
    out = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [f for f in folders if not f.startswith(".") and f != "build"]
        out += [os.path.join(folder, f) for f in files if f.endswith(".md")]
    return sorted(out)


def without_code(text):
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))


def headings(path):
    """GitHub's anchors: lower case, punctuation gone, spaces as hyphens."""
    with open(path, encoding="utf-8") as f:
        titles = re.findall(r"^#+ +(.*)$", re.sub(r"^```.*?^```", "", f.read(), flags=re.M | re.S), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", t.strip().lower()).replace(" ", "-") for t in titles}


def bad_links(page):
    with open(page, encoding="utf-8") as f:
        text = f.read()
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        full = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        if not os.path.exists(full):
            yield f"{os.path.relpath(page, ROOT)}: {target}: no such file"
        elif anchor and anchor not in headings(full):
            yield f"{os.path.relpath(page, ROOT)}: {target}: no such heading"


def bad_goals(page, goals):
    with open(page, encoding="utf-8") as f:
        text = f.read()
    for goal in re.findall(r"(?:`|^ {4}|^)make ([a-z][a-z-]*)", text, flags=re.M):
        if goal not in goals:
            yield f"{os.path.relpath(page, ROOT)}: make {goal}: not a goal of make help"


def known_goals():
    text = subprocess.run(["make", "-s", "-C", ROOT, "help"], check=True, capture_output=True, text=True).stdout
    return set(re.findall(r"^ *make ([a-z-]+)", text, flags=re.M)) | set(re.findall(r"\b(bench-[a-z]+)\b", text)) | {"bins"}


def main():
    failed = False
    found = pages()
    goals = known_goals()
    for page in found:
        bad = list(bad_links(page)) + list(bad_goals(page, goals))
        print(("not ok - " if bad else "ok - ") + os.path.relpath(page, ROOT))
        for line in bad:
            print("#   " + line)
        failed |= bool(bad)
    if not found or "test" not in goals:
        print("not ok - there are pages and goals to check")
        failed = True
    sys.exit(failed)


main()
