#!/bin/bash
# run.sh: puts one-line faults into the code and sees that a test turns red for each.
#
#   test/mutants/run.sh [LIST...]      (none: test/mutants/*.list)
#
# A line of a list:   FILE|EXPRESSION|SUITE|WHAT IT BREAKS
# EXPRESSION is for sed -E and may itself contain | ; it must change exactly one line of FILE. SUITE is a part of the path of one or
# more suites without .c (unit/table, golden/asm_golden.py): the first that turns red decides. Empty lines and lines with # are skipped.
# A mutant is killed by a failing, crashing or endless suite; one that does not compile is an error of the list.
# Works on copies of the tree in BUILD/mutants, JOBS (2) at a time; ONLY=text takes the mutants whose line contains text.
# Exit 0: every mutant was killed.
set -u
BUILD=${BUILD:-build}
JOBS=${JOBS:-2}
MUTANT_SECONDS=${MUTANT_SECONDS:-120}
root=$BUILD/mutants
mkdir -p "$root"
root=$(cd "$root" && pwd)

# matching SUITE: the suites of the tree in the current directory whose path contains SUITE.
matching() {
	find test/unit test/golden test/prop test/sim test/net -name '*.c' -o -name '*.py' -o -name '*.sh' 2>/dev/null |
		sed 's/\.c$//' | sort | grep -F -- "$1"
}

# judge SUITE: builds and runs the suites; prints "killed by X", "SURVIVED" or an error.
judge() {
	local suite found=
	while read -r suite; do
		found=1
		case $suite in
		*.py | *.sh) make -s bins CFLAGS=-g0 >mutant.log 2>&1 ;;
		*) make -s "build/$suite" CFLAGS=-g0 >mutant.log 2>&1 ;;
		esac || { echo "DOES NOT COMPILE: $(grep -m 1 error mutant.log | cut -c1-100)"; return; }
		case $suite in
		*.py | *.sh) ONLY='' TEST_TIMEOUT=$MUTANT_SECONDS bash test/run.sh "$suite" >mutant.log 2>&1 ;;
		*) timeout -k 2 "$MUTANT_SECONDS" "build/$suite" >mutant.log 2>&1 </dev/null ;;
		esac || { echo "killed by $suite"; return; }
	done < <(matching "$1")
	[ -n "$found" ] && echo "SURVIVED" || echo "NO SUITE contains '$1'"
}

# green SUITE: the suites pass without a fault (asked once), or a red one would seem to kill every mutant.
green() {
	grep -qxF -- "$1" mutant.green && return
	[ "$(judge "$1")" = SURVIVED ] && echo "$1" >>mutant.green
}

# mutate LINE: one mutant in the copy of the current directory; prints what became of it.
mutate() {
	local file=${1%%|*} rest=${1#*|}
	rest=${rest%|*}
	local suite=${rest##*|} expression=${rest%|*} changed
	[ -f "$file" ] || { echo "NO FILE $file"; return; }
	green "$suite" || { echo "RED WITHOUT IT ($(judge "$suite"))"; return; }
	cp "$file" mutant.original
	if ! sed -E "$expression" mutant.original >"$file" 2>mutant.log; then
		echo "BAD EXPRESSION: $(head -n 1 mutant.log)"
	else
		changed=$(diff mutant.original "$file" | grep -c '^[<>]')
		case $changed in
		0) echo "DOES NOT APPLY (nothing changes)" ;;
		1 | 2) judge "$suite" ;;
		*) echo "DOES NOT APPLY ($changed changed lines; make it one)" ;;
		esac
	fi
	cp mutant.original "$file"
}

# work NUMBER: one worker: a copy of the tree with everything built, then every JOBS-th mutant.
work() {
	local number=$1 tree=$root/tree$1 line i=0
	mkdir -p "$tree"
	rsync_tree "$tree" && cd "$tree" || exit 1
	export BUILD=build CI='' ONLY=''
	make -s all CFLAGS=-g0 >mutant.log 2>&1 || { tail -n 5 mutant.log >&2; echo "run.sh: the tree itself does not build" >&2; exit 1; }
	: >mutant.green
	while IFS= read -r line; do
		i=$((i + 1))
		[ $((i % JOBS)) = $((number % JOBS)) ] || continue
		printf '%s\t%s\n' "$i" "$(mutate "$line")"
	done <"$root/lines" >"$root/result$number"
}

# Copies what git would: no build products; files that are the same keep their time, so that little is built again.
rsync_tree() {
	local file
	git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
		[ -e "$file" ] || continue
		cmp -s "$file" "$1/$file" || { mkdir -p "$1/$(dirname "$file")" && cp "$file" "$1/$file"; }
	done
	(cd "$1" && find . -path ./build -prune -o -type f ! -name 'mutant.*' -print) | while IFS= read -r file; do
		[ -e "$file" ] || rm -f "$1/$file"
	done
	ln -sfn "$(cd .. && pwd)/shared" "$(dirname "$1")/shared"
}

[ $# -gt 0 ] || set -- test/mutants/*.list
cat "$@" 2>/dev/null | grep -v -e '^#' -e '^$' | grep -F -- "${ONLY:-}" >"$root/lines"
if [ ! -s "$root/lines" ]; then
	echo "mutants: no mutant in $*${ONLY:+ matches ONLY=$ONLY}" >&2
	exit 1
fi
pids=()
rm -f "$root"/result*
for ((n = 1; n <= JOBS; n++)); do
	work "$n" &
	pids+=($!)
done
failed=0
for pid in "${pids[@]}"; do
	wait "$pid" || failed=1
done
sort -n "$root"/result* | cut -f 2 | paste -d '|' - "$root/lines" | awk -F '|' '
	{ printf "%-10s %-24s %-62s %s\n", ($1 ~ /^killed/ ? "killed" : "NOT KILLED"), $2, $NF, $1; good += $1 ~ /^killed/ }
	END { printf "%d mutants, %d killed, %d not\n", NR, good, NR - good; exit good != NR }' || failed=1
exit $failed
