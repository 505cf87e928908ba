#!/bin/bash
# run.sh: checks the protocol's models with spin, two at a time. Prints the number of states of each and whether an invariant was violated,
# and fails where that is not what is expected. A model with all safeguards must hold; with one switched off it must not.
#
#   test/model/run.sh quick|all    quick: under a minute of processor time; all (or TEST_ALL=1): also what needs more states, one after another,
#                                  in at most 4 GiB and an hour (states are kept as 64 and 32 bits of hash there)
#
# docs/protocol.md says what each model is about; the head of each model names its switches. BUILD (default build): where it works.
set -u
what=${1:-quick}
[ "${TEST_ALL:-0}" = 1 ] && what=all
here=$(cd "$(dirname "$0")" && pwd)
work=${BUILD:-build}/model
limit_s=120 jobs=2 keep="-DMEMLIM=3000" table=22
[ "$what" = all ] && limit_s=1800 jobs=1 keep="-DMEMLIM=4000 -DHC4" table=24
command -v spin >/dev/null || { echo "SKIP: spin is not installed: apt-get install spin"; exit 0; }
rm -rf "$work" && mkdir -p "$work" && cd "$work" || exit 1

# check NUMBER EXPECTED MODEL FLAGS...: EXPECTED is holds or violated. The search is exhaustive; a mutant's stops at the first violation.
check() {
	local dir=$1 expected=$2 model=$3 result states
	shift 3
	mkdir "$dir" && cd "$dir" || return
	# shellcheck disable=SC2086 # keep is a list of words
	if ! spin -a "$@" "$here/$model.pml" >spin.log 2>&1 || ! ${CC:-gcc} -O1 -DSAFETY -DNOREDUCE $keep -w -o pan pan.c 2>cc.log; then
		echo "FAIL: spin or the compiler refuses $model $*" >result
		return
	fi
	timeout "$limit_s" ./pan -m100000 -w$table >pan.log 2>&1
	states=$(awk '/states, stored/ { print $1 }' pan.log)
	result=unfinished
	grep -q 'errors: 0' pan.log && result="no violation"
	grep -qE '^pan:1: (assertion violated|invalid end state)' pan.log && result="violation found"
	grep -qE 'out of memory|max search depth|reached -DMEMLIM' pan.log && result=unfinished
	printf '%-15s %9s states  %s\n' "$result" "${states:-?}" "$model $*" >result
	case "$expected $result" in
	"holds no violation" | "violated violation found") ;;
	*) echo "FAIL: expected of $model $*: $expected" >>result ;;
	esac
}

checks() {
	cat <<-END
		holds shard -DME=3
		violated shard -DME=3 -DREACH
		violated shard -DME=3 -DF_FENCE=0
		violated shard -DME=3 -DF_ADD=0
		violated shard -DME=3 -DF_SNAP=0
		violated shard -DME=3 -DF_INC=0
		violated shard -DME=3 -DF_POS=0
		violated shard -DME=3 -DF_CAS=0
		violated shard -DME=3 -DF_PRO=0
		violated shard -DME=3 -DF_ONE=0
		holds loss -DEPCHK=1 -DFENCE=1 -DREBASE=1
		violated loss -DFENCE=1 -DREBASE=1
		violated loss -DEPCHK=1 -DREBASE=1
		violated loss -DEPCHK=1 -DFENCE=1
		holds lost
		violated lost -DPROBE=0
		violated bp -DMODE=0 -DQ=2
		holds bp -DMODE=1 -DQ=12
		violated bp -DMODE=2
		holds bp -DMODE=3 -DQ=2
		holds gc -DADMIT=1
		violated gc -DADMIT=0
		holds stream
		violated stream -DACKD=0
		violated stream -DBYSTREAM=0
	END
	[ "$what" = all ] && cat <<-END
		violated shard -DME=3 -DF_AHEAD=0
		violated shard -DME=3 -DEARLY=1
		violated shard -DME=3 -DF_DIG=0
		violated shard -DME=3 -DF_SOLOWAIT=0
		violated shard -DME=4 -DF_BASE=0
		violated shard -DME=4 -DF_FENCE=0
		violated shard -DME=4 -DF_ADD=0
		violated shard -DME=4 -DF_SNAP=0
		violated shard -DME=4 -DF_INC=0
		violated shard -DME=4 -DF_POS=0
		violated shard -DME=4 -DF_ONE=0
		violated shard -DME=4 -DF_AHEAD=0
		violated shard -DME=4 -DF_CAS=0
		violated shard -DME=4 -DF_PRO=0
		violated shard -DME=4 -DF_DIG=0
		holds shard -DME=4
	END
}

number=0
while read -r line; do
	number=$((number + 1))
	while [ "$(jobs -rp | wc -l)" -ge $jobs ]; do wait -n; done
	# shellcheck disable=SC2086 # the line is a list of words
	check "$(printf %02d $number)" $line &
done < <(checks)
wait
cat ./*/result
[ "$(cat ./*/result | grep -c ' states ')" = "$number" ] && ! grep -q '^FAIL' ./*/result
