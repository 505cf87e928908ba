#!/bin/bash
# bench_vm.sh: bench_vm runs every engine it names, finds their verdicts equal, and writes rows of the form that others read. How fast
# anything was is not looked at.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
bad=0

# check WHAT, then the command's exit code
check() {
	if [ "$2" = 0 ]; then
		echo "ok $1"
	else
		echo "not ok $1"
		tail -n 5 "$dir/out" "$dir/err" >&2
		bad=1
	fi
}

# run ARGUMENTS...
run() {
	BENCH_DIR=$dir timeout 120 "$BUILD/test/bench/bench_vm" --quick "$@" >"$dir/out" 2>"$dir/err"
}

# engines WORD...: rows of vm.json are whole, and of the engines these are there
engines() {
	python3 - "$dir/vm.json" "$@" <<'EOF'
import json, sys
rows = json.load(open(sys.argv[1]))
for row in rows:
    assert set(row) >= {"case", "engine", "set", "ns", "ratio_to", "ratio", "low", "high"}, row
    assert row["low"] <= row["ratio"] <= row["high"], row
missing = set(sys.argv[2:]) - {row["engine"] for row in rows}
sys.exit(f"no rows of {missing}" if missing else 0)
EOF
}

run --set hot --filter F1
check "a filter without tables: all verdicts are equal" $?
engines "gcc call" "gcc burst" "interpreter" "jit per packet" "librte_bpf" "librte_bpf one check" "libpcap"
check "its rows are whole" $?
run --filter "per flow" --flows 1K
check "a filter with a table: all verdicts are equal" $?
engines "gcc call" "gcc burst" "interpreter" "jit per packet" "librte_bpf, our table" "librte_bpf, rte_hash"
check "its rows are whole" $?
run --filter conntrack --set hot
check "connection tracking: all verdicts are equal" $?
run --flow 1K --nonsense
[ $? = 2 ] && grep -q "^usage: bench_vm" "$dir/err"
check "an option that does not exist is refused with the usage" $?
exit $bad
