#!/bin/bash
# run.sh: runs libFuzzer harnesses, two at a time, each for SECONDS_EACH seconds.
#
#   test/fuzz/run.sh NAME...        programs BUILD/test/fuzz/NAME, corpus test/fuzz/corpus/NAME, dictionary test/fuzz/NAME.dict
#
# New inputs go to BUILD/corpus/NAME; FUZZ_KEEP=1 copies those that reach new code to test/fuzz/corpus/NAME. An input that crashes,
# hangs (10 s) or eats memory (2 GB) is kept as BUILD/crash-NAME-... and fails the run. Exit 0: no finding.
set -u
BUILD=${BUILD:-build/fuzz}
SECONDS_EACH=${SECONDS_EACH:-60}
ONLY=${ONLY:-}

run_one() {
	local name=$1 found=$BUILD/corpus/$1 kept=test/fuzz/corpus/$1 log=$BUILD/$1.log dictionary=()
	mkdir -p "$found" "$kept"
	[ -f "test/fuzz/$name.dict" ] && dictionary=("-dict=test/fuzz/$name.dict")
	if ! "$BUILD/test/fuzz/$name" -max_total_time="$SECONDS_EACH" -timeout=10 -rss_limit_mb=2048 "${dictionary[@]}" \
		-artifact_prefix="$BUILD/crash-$name-" -print_final_stats=1 "$found" "$kept" >"$log" 2>&1 </dev/null; then
		echo "FAIL  $name: $(grep -a -m 1 -E 'ERROR|SUMMARY|runtime error' "$log" | cut -c1-160); see $log; the input:"
		find "$BUILD" -maxdepth 1 -name "crash-$name-*" -newer "$BUILD/test/fuzz/$name" | head -n 3
		return 1
	fi
	echo "ok    $name: $(awk '/number_of_executed_units/ { n = $2 } / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") c = $(i + 1) }
		END { printf "%d runs, %d edges", n, c }' "$log")"
	[ "${FUZZ_KEEP:-}" != 1 ] || "$BUILD/test/fuzz/$name" -merge=1 "$kept" "$found" >>"$log" 2>&1
}

if [ "${1:-}" = --one ]; then
	run_one "$2"
	exit
fi
names=()
for name in "$@"; do
	[[ -z $ONLY || $name == *"$ONLY"* ]] && names+=("$name")
done
if [ ${#names[@]} = 0 ]; then
	echo "fuzz: no harness${ONLY:+ whose name contains \"$ONLY\"}: write test/fuzz/NAME.c" >&2
	exit 1
fi
printf '%s\0' "${names[@]}" | xargs -0 -n 1 -P 2 bash "$0" --one
