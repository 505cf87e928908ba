#!/bin/bash
# analysis_faults.sh: the tests of each property that docs/analysis.md claims can fail: each is run with an analyzer that has been broken
# on purpose (analysis/fault.h) and must turn red, saying what the property says, and green without a fault.
set -u
BUILD=${BUILD:-build}
failed=0
n=0

result() { # ok|"not ok" WHAT
	n=$((n + 1))
	echo "$1 $n $2"
	[ "$1" = ok ] || failed=1
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT

declare -A green
while IFS='|' read -r property suite faults says; do
	case $property in '' | \#*) continue ;; esac
	program=$BUILD/faulty/test_$suite
	if [ -z "${green[$suite]:-}" ]; then
		green[$suite]=1
		if env -u TEST_ALL ANALYSIS_FAULTS= "$program" >"$log" 2>&1; then
			result ok "$suite without a fault"
		else
			result "not ok" "$suite is red without a fault"
			tail -n 5 "$log"
		fi
	fi
	if env -u TEST_ALL ANALYSIS_FAULTS="$faults" "$program" >"$log" 2>&1; then
		result "not ok" "$property: $faults was not noticed"
	elif grep -qE "$says" "$log"; then
		result ok "$property: $faults is noticed"
	else
		result "not ok" "$property: $faults is noticed, but not by this property"
		tail -n 8 "$log"
	fi
done <<'TABLE'
# property|suite|faults|what the suite says
no run updates configuration|analysis|STORE_IS_NO_UPDATE|an update of configuration|reads as configuration
a bit outside the dimensions changes no key|analysis|MASK_REVERSED|changes the key at
an object without impact changes no verdict|analysis|LOAD_IS_HARMLESS|changes a verdict
rewriting changes no split verdict|analysis|PRODUCT_IS_OPAQUE|after rewriting
every pair of packets proves its program pinned|analysis|WITNESS_ANY_PAIR|proves nothing
each owned key projects to where the packet went|split_sound|CHECK_NO_KEYS|projects to another shard key
split is flat|split_sound|STORE_IS_NO_UPDATE,CHECK_NO_CONFIG|split [0-9]+ \([-0-9]+\), flat|of the flat machine is not in|in two shards
merged statistics are the flat table's|split_sound|ANY_STORES_MERGE|is not in the merged shards
no changed certificate gets past the checker|certificate|CHECK_NO_KEYS|accepted, but
no changed certificate of an example does|certificate_examples|CHECK_NO_KEYS|accepted, but
the steering program gives what the keys say|steering|STEER_BESIDE,CHECK_NO_KEYS|but the packet is steered by
TABLE

# A name that does not exist is no fault that went unnoticed.
ANALYSIS_FAULTS=NO_SUCH "$BUILD/faulty/test_steering" >"$log" 2>&1
if [ $? = 2 ]; then result ok "an unknown fault is refused"; else result "not ok" "an unknown fault is taken"; fi
exit $failed
