#!/bin/bash
# traffic_gen.sh: the command line of traffic-gen, and the file it writes.
set -u
gen=${BUILD:-build}/test/tools/traffic-gen
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

# check NAME COMMAND...: one test case.
check() {
	local name=$1
	shift
	if "$@" >"$dir/out" 2>&1; then echo "ok - $name"; else
		echo "not ok - $name"
		sed 's/^/#   /' "$dir/out"
	fi
}

# refused TEXT OPTION...: usage error (exit 2) whose message contains TEXT.
refused() {
	local text=$1 code
	shift
	"$gen" "$@" >/dev/null 2>"$dir/err" </dev/null
	code=$?
	cat "$dir/err"
	[ $code = 2 ] && grep -qF -- "$text" "$dir/err"
}

same_seed_same_file() {
	"$gen" --seed 3 --packets 2000 -o "$dir/a" && "$gen" --seed 3 --packets 2000 >"$dir/b" && "$gen" --seed 4 --packets 2000 -o "$dir/c" &&
		cmp "$dir/a" "$dir/b" && ! cmp -s "$dir/a" "$dir/c"
}

# The pcap format, read by hand: magic, link type 1, and records whose lengths lead exactly to the end of the file.
records_are_whole() {
	"$gen" --packets 500 --mix tcp=1,scan=1 --summary -o "$dir/a" 2>"$dir/summary" && python3 - "$dir/a" "$dir/summary" <<'EOF'
import struct, sys
data = open(sys.argv[1], "rb").read()
magic, major, minor, _, _, _, link = struct.unpack_from("=IHHiIII", data)
assert (magic, major, minor, link) == (0xa1b2c3d4, 2, 4, 1), (hex(magic), link)
at, n, last = 24, 0, 0
while at < len(data):
    sec, usec, caplen, length = struct.unpack_from("=IIII", data, at)
    assert caplen == length and usec < 1000000 and sec * 1000000 + usec > last
    last, at, n = sec * 1000000 + usec, at + 16 + caplen, n + 1
assert at == len(data) and n == 500, (at, n)
counts = dict(line.split() for line in open(sys.argv[2]))
assert sum(map(int, counts.values())) == 500 and int(counts["tcp"]) + int(counts["scan"]) == 500, counts
EOF
}

help_names_every_kind() {
	"$gen" --help >"$dir/help" && grep -q 'dns-amplification' "$dir/help" && grep -q -- '--connections' "$dir/help" &&
		[ "$("$gen" --version)" = "traffic-gen 1.0.0" ]
}

# fails TEXT COMMAND...: exit 1 with TEXT.
fails() {
	local text=$1 code
	shift
	"$@" >/dev/null 2>"$dir/err"
	code=$?
	cat "$dir/err"
	[ $code = 1 ] && grep -qF -- "$text" "$dir/err"
}

check "the same seed writes the same file, another one another" same_seed_same_file
check "every record of the capture is whole and the summary counts them" records_are_whole
check "help names the kinds and options" help_names_every_kind
check "a word that is no number is refused" refused 'abc, --seed: give a number of 0 to' --seed abc
check "a negative number is refused" refused '-5, --packets: give a number' --packets=-5
check "a rate out of range is refused" refused '0, --pps: give a number of 1 to 1000000' --pps 0
check "an unknown kind is refused where it stands" refused '"sin-flood=2", --mix' --mix tcp=1,sin-flood=2
check "a mix of nothing is refused" refused '"tcp=0", --mix' --mix tcp=0
check "an argument that is no option is refused" refused 'out.pcap, command line' out.pcap
check "an unknown option is refused" refused 'usage: traffic-gen' --sead 1
check "a directory that is not there is an error" fails "$dir/none/x" "$gen" -o "$dir/none/x"
check "a full disk is an error" fails 'writing' "$gen" --packets 1000 -o /dev/full
