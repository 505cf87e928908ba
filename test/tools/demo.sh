#!/bin/bash
# demo.sh: the guided tour (make demo). Generates traffic with attacks in it, assembles stateful filters, and runs each of them on it
# twice: on the machine with its sharded, bounded tables, and on the naive one (--flat). The verdict files must be the same. Ends with
# "0 differing verdicts of N packets" or fails. PACKETS (200000) and SEED (1) set the traffic.
set -u
BUILD=${BUILD:-build}
PACKETS=${PACKETS:-200000}
SEED=${SEED:-1}
filters="syn-flood port-scan dns-amplification connection-tracker"
out=$BUILD/demo
mkdir -p "$out" || exit 1

# Shows a command and runs it.
run() {
	echo
	echo "\$ $*"
	"$@" 2>&1
}

# differing A B: how many lines of two verdict files differ; lines that one file lacks count too.
differing() {
	paste -d '|' "$1" "$2" | awk -F '|' '$1 != $2 { n++ } END { print n + 0 }'
}

run "$BUILD/test/tools/traffic-gen" --seed "$SEED" --packets "$PACKETS" --summary -o "$out/traffic.pcap" || exit 1
run "$BUILD/bin/vfm-asm" -v examples/manual/syn-flood.vfm -o "$out/syn-flood.bin" || exit 1
run "$BUILD/bin/vfm-dis" -a -x "$out/syn-flood.bin" || exit 1
run "$BUILD/bin/vfm-test" -s "$out/syn-flood.bin" "$out/traffic.pcap" || exit 1

echo
total=0 wrong=0
for filter in $filters; do
	"$BUILD/bin/vfm-test" --verdicts "$out/$filter.sharded" "examples/manual/$filter.vfm" "$out/traffic.pcap" >"$out/log" || exit 1
	"$BUILD/bin/vfm-test" --flat --verdicts "$out/$filter.flat" "examples/manual/$filter.vfm" "$out/traffic.pcap" >"$out/log" || exit 1
	packets=$(wc -l <"$out/$filter.sharded")
	dropped=$(grep -c '^0$' "$out/$filter.sharded")
	bad=$(differing "$out/$filter.sharded" "$out/$filter.flat")
	[ "$packets" = "$PACKETS" ] || { echo "demo: $filter gave $packets verdicts, not $PACKETS" >&2; exit 1; }
	printf '%-20s %7d of %d packets dropped, %d verdicts differ from the flat machine\n' "$filter" "$dropped" "$packets" "$bad"
	total=$((total + packets)) wrong=$((wrong + bad))
done
echo "$wrong differing verdicts of $total packets"
[ $wrong = 0 ]
