#!/bin/bash
# docs_wire.sh: docs/wire.md is what the rows of state/wire.h say.
set -u
if "${BUILD:-build}/test/tools/wire_doc" | diff -u docs/wire.md - ; then
	echo "ok docs/wire.md follows state/wire.h"
else
	echo "not ok docs/wire.md: run build/test/tools/wire_doc > docs/wire.md"
	exit 1
fi
