#!/bin/bash
# docs_isa.sh: docs/isa.md is what vm/isa.h says, and has a row for every opcode of it.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
bad=0

if "$BUILD/test/tools/isa_doc" | diff - docs/isa.md >&2; then
	echo "ok docs/isa.md is generated from vm/isa.h"
else
	echo "not ok docs/isa.md differs from vm/isa.h: run make docs"
	bad=1
fi

# The rows of the header, read without the generator: X(NAME, number, "mnemonic", ...
missing=$(sed -n 's/^[[:space:]]*X([A-Z0-9_]*, \([0-9]*\), "\([A-Z0-9_]*\)".*/\1 \2/p' vm/isa.h | while read -r number mnemonic; do
	grep -q -E "^\| $number \| \`$mnemonic( [a-z, ]+)?\` \|" docs/isa.md || echo "$number $mnemonic"
done)
rows=$(grep -c -E '^\| [0-9]+ \|' docs/isa.md)
declared=$(grep -c -E '^[[:space:]]*X\([A-Z0-9_]+, [0-9]+,' vm/isa.h)
if [ -z "$missing" ] && [ "$rows" = "$declared" ]; then
	echo "ok all $declared opcodes are in docs/isa.md"
else
	echo "not ok $rows of $declared opcodes in docs/isa.md; missing: $missing"
	bad=1
fi
exit $bad
