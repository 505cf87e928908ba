#!/bin/sh
# vfm-dis --ir prints exactly the text kept in test/golden/ir: NAME.vfm gives NAME.txt (loop: after each pass).
set -eu
bin=${BUILD:-build}/bin
dir=test/golden/ir
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
status=0

compare() {
	"$bin/vfm-asm" "$dir/$1.vfm" -o "$tmp/$1.bin"
	"$bin/vfm-dis" "$2" "$tmp/$1.bin" >"$tmp/$1.txt"
	if ! diff -u "$dir/$1.txt" "$tmp/$1.txt"; then
		echo "vfm-dis $2 of $dir/$1.vfm changed; if that is intended, copy the new text over $dir/$1.txt"
		status=1
	fi
}

compare ports --ir
compare loop --ir=passes

printf '\026' >"$tmp/bad.bin"
if "$bin/vfm-dis" --ir "$tmp/bad.bin" >"$tmp/out" 2>"$tmp/err"; then
	echo "vfm-dis --ir accepts a program that the verifier refuses"
	status=1
fi
grep -q "^vfm-dis: $tmp/bad.bin: at 0: RET needs 1 value, but a path arrives with 0 on the stack" "$tmp/err" || {
	echo "the reason is missing:" && cat "$tmp/err" && status=1
}
exit $status
