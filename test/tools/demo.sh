#!/bin/bash
# demo.sh: the guided tour (make demo). Generates traffic with attacks in it, shows what the analyzer says of three stateful filters,
# and rehearses each: a real cluster of processes plays the traffic while shards are moved and nodes are killed with -9, and every
# verdict and the final state are compared with one instance. Ends with "0 differing verdicts of N packets" or fails.
#
#   make demo                                  the tour; PACKETS (200000) and SEED (1) set the traffic
#   make demo FILTER=my.vfl CAPTURE=my.pcap    the same with a filter and a capture of yours
set -u
BUILD=${BUILD:-build}
PACKETS=${PACKETS:-200000}
SEED=${SEED:-1}
filters=${FILTER:-examples/syn-limit.vfl examples/portscan.vfl examples/conntrack.vfl}
capture=${CAPTURE:-}
out=$BUILD/demo
mkdir -p "$out" || exit 1

# Shows a command and runs it.
run() {
	echo
	echo "\$ $*"
	"$@" 2>&1
}

if [ -z "$capture" ]; then
	capture=$out/traffic.pcap
	run "$BUILD/test/tools/traffic-gen" --seed "$SEED" --packets "$PACKETS" --summary -o "$capture" || exit 1
fi

total=0
for filter in $filters; do
	# 10: splits under a guard, 11: does not split. Both are answers, and both can be rehearsed.
	run "$BUILD/bin/vfm-analyze" "$filter"
	case $? in 0 | 10 | 11) ;; *) exit 1 ;; esac
	run "$BUILD/bin/vfm-test" -s "$filter" "$capture" || exit 1
	run "$BUILD/bin/vfmctl" rehearse --accept-guard --nodes 3 --moves 20 --kills 3 --seed "$SEED" "$filter" "$capture" |
		tee "$out/rehearsal"
	[ "${PIPESTATUS[0]}" = 0 ] || exit 1
	packets=$(sed -n 's/^0 differing verdicts of \([0-9]*\) packets$/\1/p' "$out/rehearsal")
	[ -n "$packets" ] || exit 1
	total=$((total + packets))
done
echo
echo "0 differing verdicts of $total packets"
