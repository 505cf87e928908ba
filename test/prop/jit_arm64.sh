#!/bin/bash
# jit_arm64.sh: the compiler's arm64 target against the plain machine: cross-compiled, run by qemu's user-mode emulator.
#
#   TEST_ALL=1   10^6 generated programs instead of 10^3, 20 times as many packets of generated traffic, 50 times as many of captures
#
# Needs aarch64-linux-gnu-gcc with its C library and qemu-aarch64 (packages.txt); skipped where they are absent.
set -u
BUILD=${BUILD:-build}
run=build/arm64/jit_cross # one tree, whatever kind of build the rest is
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

for tool in aarch64-linux-gnu-gcc qemu-aarch64; do
	command -v $tool >/dev/null || { echo "SKIP no $tool: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"; exit 77; }
done
if ! env -u MAKEFLAGS -u MAKELEVEL make -s $run >"$scratch/make.log" 2>&1; then
	cat "$scratch/make.log"
	echo "not ok - the compiler builds for arm64"
	exit 1
fi

failed=0
# expect NAME ARGUMENTS...: runs the emulated program.
expect() {
	local name=$1
	shift
	if said=$(qemu-aarch64 $run "$@" 2>&1); then
		echo "ok - $name: $said"
	else
		echo "$said"
		echo "not ok - $name"
		failed=1
	fi
}

programs=1000 packets=400 each=20
[ "${TEST_ALL:-}" = 1 ] && programs=1000000 packets=8000 each=1000

expect "generated programs equal the machine" generated "${TEST_SEED:-1}" "$([ "${TEST_SEED:-}" ] && echo 1 || echo $programs)"
expect "code beyond the reach of a conditional branch equals the machine" long

# Every example that its tool accepts; the manual's wrong ones are not programs.
n=0
for source in examples/*.vfl examples/manual/*.vfl examples/manual/*.vfm; do
	[ -e "$source" ] || continue
	binary=$scratch/$(basename "$source").bin
	case $source in
	*.vfl) "$BUILD/bin/vflispc" -o "$binary" "$source" ;;
	*) "$BUILD/bin/vfm-asm" -o "$binary" "$source" ;;
	esac >/dev/null 2>&1 || rm -f "$binary"
	[ -s "$binary" ] && n=$((n + 1))
done
if [ $n -lt 40 ]; then
	echo "not ok - only $n examples compile"
	failed=1
fi
expect "examples equal the machine on generated traffic" filter $packets "$scratch"/*.bin

find ../shared/data/captures -name '*.pcap' 2>/dev/null | sort >"$scratch/captures"
if [ -s "$scratch/captures" ]; then
	expect "examples equal the machine on captures" captures $each "$scratch/captures" "$scratch"/*.bin
else
	echo "ok - examples equal the machine on captures # SKIP no ../shared/data/captures"
fi
exit $failed
