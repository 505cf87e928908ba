#!/bin/bash
# run.sh: checks the protocol's models with spin. Prints a line for each: the number of states, and whether an invariant was violated,
# and fails where that is not what is expected. A model with all safeguards must hold; with one switched off it must not.
#
#   test/model/run.sh quick|all    quick: about a minute; all: also the switches that need more states
#
# docs/protocol.md says what each model is about and what its switches are. BUILD (default build): where it works.
set -u
what=${1:-quick}
here=$(cd "$(dirname "$0")" && pwd)
work=${BUILD:-build}/model
command -v spin >/dev/null || { echo "SKIP: spin is not installed: apt-get install spin"; exit 77; }
mkdir -p "$work" && cd "$work" || exit 1
bad=0

# check EXPECTED MODEL FLAGS...: EXPECTED is holds or violated.
check() {
	local expected=$1 model=$2 result states
	shift 2
	rm -f pan pan.* ./*.trail
	if ! spin -a "$@" "$here/$model.pml" >spin.log 2>&1 || ! ${CC:-gcc} -O2 -DSAFETY -DNOREDUCE -DMEMLIM=3000 -w -o pan pan.c; then
		echo "FAIL  $model $*: spin or the compiler refuses it"
		bad=1
		return
	fi
	./pan -m1000000 -w22 >pan.log 2>&1
	states=$(awk '/states, stored/ { print $1 }' pan.log)
	result=holds
	grep -q 'errors: 0' pan.log || result=violated
	grep -qE 'out of memory|max search depth' pan.log && result=unfinished
	printf '%-9s %10s states  %s %s\n' "$result" "${states:-?}" "$model" "$*"
	[ "$result" = "$expected" ] || { echo "FAIL  expected: $expected"; bad=1; }
}

check holds shard -DME=3
check violated shard -DME=4 -DF_FENCE=0
check violated shard -DME=4 -DF_BASE=0
check violated shard -DME=4 -DF_ADD=0
check violated shard -DME=4 -DF_SNAP=0
check violated shard -DME=4 -DF_INC=0
check holds loss -DEPCHK=1 -DFENCE=1 -DREBASE=1
check violated loss -DFENCE=1 -DREBASE=1
check violated loss -DEPCHK=1 -DREBASE=1
check violated loss -DEPCHK=1 -DFENCE=1
check holds lost
check violated lost -DPROBE=0
check violated bp -DMODE=0
check holds bp -DMODE=1 -DQ=12
check violated bp -DMODE=2
check holds bp -DMODE=3
check holds gc -DADMIT=1
check violated gc -DADMIT=0
check holds stream
check violated stream -DACKD=0
check violated stream -DBYSTREAM=0
if [ "$what" = all ]; then
	check violated shard -DME=4 -DF_POS=0
	check violated shard -DME=4 -DF_ONE=0
	check violated shard -DME=4 -DF_AHEAD=0
	check violated shard -DME=4 -DEARLY=1
	check holds shard -DME=4 -DEARLY=1 -DS=1 -DK=2
	check violated shard -DME=4 -DF_CAS=0
	check violated shard -DME=4 -DF_PRO=0
	check holds shard -DME=4
fi
exit $bad
