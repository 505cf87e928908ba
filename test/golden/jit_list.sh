#!/bin/sh
# vfm-dis --native lists the code of one packet, and on a CPU with AVX-512 that of sixteen; without a compiler it says so.
set -eu
bin=${BUILD:-build}/bin
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"$bin/vfm-asm" test/golden/ir/ports.vfm -o "$tmp/p.bin"
VFM_JIT=scalar "$bin/vfm-dis" --native "$tmp/p.bin" >"$tmp/scalar"
if grep -q '^; no machine code' "$tmp/scalar"; then
	echo "SKIP no compiler for this CPU"
	exit 77
fi
head -n 1 "$tmp/scalar" | grep -q '^; one packet: [0-9]* bytes$'
grep -q '  ret  *$' "$tmp/scalar"
if grep -q 'packets at once' "$tmp/scalar"; then
	echo "the scalar tier has vector code"
	exit 1
fi
VFM_JIT=interp "$bin/vfm-dis" --native "$tmp/p.bin" | grep -q '^; no machine code on this system'
