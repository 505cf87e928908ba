"""The whole matrix of rehearsals, with TEST_ALL=1: every stateful example on the eight largest real captures and a generated one of 10^6
packets, 3 nodes, 20 moves, 3 kills, at the declared capacities (E1 and E2) and at capacities so small that evictions are frequent (E1).
Prints one row a rehearsal; BUILD/log/rehearsals.tsv keeps them. ONLY_FILTER and ONLY_CAPTURE run a part."""
import glob
import json
import os
import subprocess
import sys
import tempfile

BUILD = os.environ.get("BUILD", "build")
CAPTURES = "../shared/data/captures"
SMALL = 64  # entries of a table, over all shards
COLUMNS = ["filter", "capture", "capacity", "packets", "shards", "moves", "promotions", "kills", "evictions", "differences_e1",
           "differences_e2", "state_equal", "lost", "released_twice", "retransmitted", "seconds"]


def stateful():
    """Filters that remember something, statistics and configuration included."""
    for name in sorted(glob.glob("examples/*.vfl") + glob.glob("examples/manual/*.vf[lm]")):
        done = subprocess.run([f"{BUILD}/bin/vfm-analyze", "--json", name], capture_output=True, text=True, check=False)
        if done.returncode in (0, 10, 11) and json.loads(done.stdout)["objects"]:
            yield name


def captures(directory):
    real = sorted(glob.glob(f"{CAPTURES}/**/*.pcap*", recursive=True), key=os.path.getsize, reverse=True)[:8]
    generated = os.path.join(directory, "generated-1000000.pcap")
    subprocess.run([f"{BUILD}/test/tools/traffic-gen", "-n", "1000000", "--seed", "5", "-o", generated], check=True)
    return real + [generated]


def rehearse(filter_name, capture, capacity, seed):
    """The result, or what is wrong with it."""
    command = [f"{BUILD}/bin/vfmctl", "rehearse", "--json", "--accept-guard", "--nodes", "3", "--moves", "20", "--kills", "3", "--seed",
               str(seed), *(["--capacity", str(capacity)] if capacity else []), filter_name, capture]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    except subprocess.TimeoutExpired:
        return None, f"{' '.join(command)}: not within 900 s"
    if not done.stdout.strip():
        return None, f"{' '.join(command)}: {done.stderr.strip()}"
    r = json.loads(done.stdout)
    bad = done.returncode or r["differences_e1"] or r["differences_e2"] or not r["state_equal"] or r["lost"] or r["released_twice"]
    return r, f"{' '.join(command)}: {done.stdout.strip()} {done.stderr.strip()}" if bad else None


def row(values):
    return "\t".join(str(v) for v in values)


def main():
    if os.environ.get("TEST_ALL") != "1":
        print("SKIP: the whole matrix of rehearsals runs with TEST_ALL=1")
        return 77
    failed, packets, evictions, held, runs = 0, 0, 0, 0, 0
    os.makedirs(f"{BUILD}/log", exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, open(f"{BUILD}/log/rehearsals.tsv", "w", encoding="utf-8") as table:
        print(row(COLUMNS), file=table)
        inputs = captures(directory)
        if len(inputs) < 7:
            print(f"# SKIP the real captures: there are fewer than six in {CAPTURES}")
        for filter_name in stateful():
            for seed, capture in enumerate(inputs):
                for capacity in (0, SMALL):
                    if os.environ.get("ONLY_FILTER", "") not in filter_name or os.environ.get("ONLY_CAPTURE", "") not in capture:
                        continue
                    runs += 1
                    r, wrong = rehearse(filter_name, capture, capacity, seed + 1)
                    what = f"{filter_name} {os.path.basename(capture)} {'capacity ' + str(capacity) if capacity else 'as declared'}"
                    print(f"not ok {wrong}" if wrong else f"ok {what}: {r['packets']} packets, {r['evictions']} evictions, "
                          f"{r['moves']} moves, {r['promotions']} promotions, {r['seconds']:.1f} s", flush=True)
                    failed += bool(wrong)
                    if not r:
                        continue
                    r.update(filter=filter_name, capture=os.path.basename(capture), capacity=capacity)
                    print(row(r[c] for c in COLUMNS), file=table, flush=True)
                    packets += r["packets"]
                    evictions += r["evictions"] if capacity else 0
                    held += r["differences_e2"] is not None
    print(f"# {runs} rehearsals, {failed} failed, {packets} packets, {held} compared with the flat machine, {evictions} evictions at capacity "
          f"{SMALL}")
    return 1 if failed or not runs or not held or not evictions else 0


if __name__ == "__main__":
    sys.exit(main())
