#!/bin/bash
# run.sh: runs test suites, two at a time, and counts their test cases.
#
#   test/run.sh SUITE...        a SUITE is a cmocka program, a fuzz replay, or a *.sh / *.py script
#   test/run.sh --one SUITE     one suite, its whole output and its line (what the parallel form calls)
#
# Variables: BUILD (default build): where the programs are, and the logs go, BUILD/log/NAME.log. ONLY: run only suites whose path
# contains this text. JOBS (2): how many at a time. TEST_ALL=1: the suites' full runs. TEST_TIMEOUT: seconds a suite may take.
#
# What a suite says is counted so: cmocka's own lines; TAP lines (ok, not ok, ok ... # SKIP why); Python's unittest summary;
# otherwise one test case by its exit code, where 77 is "skipped". A line with SKIP is shown as the reason of a skip.
set -u
BUILD=${BUILD:-build}
JOBS=${JOBS:-2}
TEST_TIMEOUT=${TEST_TIMEOUT:-$([ "${TEST_ALL:-}" = 1 ] && echo 7200 || echo 240)}
export BUILD TEST_TIMEOUT

# count LOG EXIT_CODE KIND: prints "passed failed skipped".
count() {
	awk -v code="$2" -v kind="$3" '
		/^\[       OK \]/ { passed++ }
		/^\[  FAILED  \] [0-9]+ test\(s\)/ { failed += $4 }
		/^\[  SKIPPED \] [0-9]+ test\(s\)/ { skipped += $4 }
		/^ok( |$)/ { if (/# SKIP/) skipped++; else passed++ }
		/^not ok( |$)/ { failed++ }
		/^Ran [0-9]+ tests? in / { ran = $2 }
		/^(OK|FAILED) \(|^OK$/ && ran {
			bad = 0; left = 0
			if (match($0, /failures=[0-9]+/)) bad += substr($0, RSTART + 9, RLENGTH - 9)
			if (match($0, /errors=[0-9]+/)) bad += substr($0, RSTART + 7, RLENGTH - 7)
			if (match($0, /skipped=[0-9]+/)) left += substr($0, RSTART + 8, RLENGTH - 8)
			passed += ran - bad - left; failed += bad; skipped += left; ran = 0
		}
		END {
			said = passed + failed + skipped
			if (code == 77 && !said) skipped = 1
			else if (code && !failed) failed = 1
			else if (!said && kind == "script") passed = 1
			else if (!said) failed = 1
			print passed + 0, failed + 0, skipped + 0
		}' "$1"
}

name_of() {
	local name=${1#"$BUILD"/}
	name=${name#test/}
	echo "${name//\//-}"
}

run_one() {
	local suite=$1 log kind=program code start end
	log=$BUILD/log/$(name_of "$suite").log
	mkdir -p "$BUILD/log"
	local command=("$suite")
	case $suite in
	*.py) command=(python3 "$suite") kind=script ;;
	*.sh) command=(bash "$suite") kind=script ;;
	esac
	start=$(date +%s%N)
	timeout -k 5 "$TEST_TIMEOUT" "${command[@]}" >"$log" 2>&1 </dev/null
	code=$?
	end=$(date +%s%N)
	[ $code = 124 ] && echo "run.sh: $suite took more than $TEST_TIMEOUT s and was ended" >>"$log"
	[ $code -gt 128 ] && echo "run.sh: $suite was ended by signal $((code - 128))" >>"$log"
	local passed failed skipped
	read -r passed failed skipped < <(count "$log" $code $kind)
	[ "$passed$failed$skipped" = 010 ] && [ $code = 0 ] && echo "run.sh: $suite ran no test case" >>"$log"
	echo "$suite $passed $failed $skipped" >"${log%.log}.result"
	local word=ok
	[ "$skipped" != 0 ] && word=skip
	[ "$failed" != 0 ] && word=FAIL
	[ $word = skip ] && [ "$passed" != 0 ] && word=ok
	printf '%-4s %5d.%d s  %-40s %4d passed%s%s\n' $word $(((end - start) / 1000000000)) $(((end - start) / 100000000 % 10)) \
		"${suite#"$BUILD"/}" "$passed" "$([ "$failed" != 0 ] && echo ", $failed failed")" \
		"$([ "$skipped" != 0 ] && echo ", $skipped skipped")"
	[ "$skipped" = 0 ] || grep -a -m 3 'SKIP' "$log" | grep -a -v '^\[  SKIPPED' | cut -c1-160 | sed 's/^/         /'
	[ "$failed" = 0 ]
}

if [ "${1:-}" = --one ]; then
	run_one "$2"
	exit 0
fi

suites=()
for suite in "$@"; do
	[[ -z ${ONLY:-} || $suite == *"$ONLY"* ]] && suites+=("$suite")
done
if [ ${#suites[@]} = 0 ]; then
	echo "run.sh: no suite to run${ONLY:+ whose path contains "$ONLY"}" >&2
	exit 1
fi
results=()
for suite in "${suites[@]}"; do
	result=$BUILD/log/$(name_of "$suite").result
	rm -f "$result"
	results+=("$result")
done
printf '%s\0' "${suites[@]}" | xargs -0 -n 1 -P "$JOBS" bash "$0" --one

passed=0 failed=0 skipped=0
for i in "${!suites[@]}"; do
	p=0 f=1 s=0
	[ -f "${results[i]}" ] && read -r _ p f s <"${results[i]}"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	if [ "$f" != 0 ]; then
		echo "---- ${suites[i]} failed; its output (${results[i]%.result}.log):"
		tail -n 60 "${results[i]%.result}.log" 2>/dev/null | cut -c1-400
	fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $passed != 0 ]
