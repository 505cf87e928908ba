#!/bin/bash
# install.sh: make install puts programs, library, header and pkg-config file where they belong, and a C program that knows nothing but
# pkg-config builds against them, shared and static, and runs a filter. Nothing but the manual's C API is exported.
set -u
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
build=${BUILD:-build}
if [ "$build" != build ]; then
	echo "ok - # SKIP only the normal build is installed, this is $build"
	exit 0
fi
unset MAKEFLAGS MAKELEVEL MFLAGS
export PKG_CONFIG_PATH=$dir/lib/pkgconfig

cat >"$dir/accept.c" <<'EOF'
#include <vfm.h>

/* LD16 12; PUSH 0x0800; JEQ +10; PUSH 0; RET; PUSH 1; RET: accepts IPv4 */
static const uint8_t program[] = {1, 12, 0, 4, 0, 8, 0, 0, 0, 0, 0, 0, 18, 10, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 22, 4, 1, 0, 0, 0, 0, 0, 0, 0, 22};

int main(void)
{
	uint8_t packet[14] = {[12] = 8};
	vfm_state_t *vm = vfm_create();
	int good = vm && vfm_load_program(vm, program, sizeof program) == 0 && vfm_execute(vm, packet, 14) == 1;

	packet[13] = 6;
	good = good && vfm_execute(vm, packet, 14) == 0 && vfm_execute(vm, packet, 13) == VFM_ERROR_BOUNDS;
	vfm_destroy(vm);
	return !good;
}
EOF

# check NAME COMMAND...: one test case.
check() {
	local name=$1
	shift
	if "$@" >"$dir/out" 2>&1; then echo "ok - $name"; else
		echo "not ok - $name"
		sed 's/^/#   /' "$dir/out"
		exit 1
	fi
}

shared_runs() {
	local flags
	read -r -a flags < <(pkg-config --cflags --libs vfm) &&
		gcc -Wall -Werror -o "$dir/accept" "$dir/accept.c" "${flags[@]}" && LD_LIBRARY_PATH=$dir/lib "$dir/accept"
}

static_runs() {
	local flags
	read -r -a flags < <(pkg-config --cflags vfm) && gcc -Wall -Werror -o "$dir/accept" "$dir/accept.c" "${flags[@]}" "$dir/lib/libvfm.a" -lm &&
		"$dir/accept"
}

only_the_api_is_exported() {
	nm -D --defined-only "$dir/lib/libvfm.so" | awk '{ print $3 }' | sort >"$dir/exported"
	grep -oE '\b(vfm|vfl)_[a-z_0-9]+\(' "$dir/include/vfm.h" | tr -d '(' | sort -u >"$dir/declared"
	comm -23 "$dir/exported" "$dir/declared" | sed 's/^/exported, but not in vfm.h: /'
	[ -s "$dir/exported" ] && [ -z "$(comm -23 "$dir/exported" "$dir/declared")" ]
}

# The manual's C program, which compiles VFLisp.
integration_decides() {
	local flags
	read -r -a flags < <(pkg-config --cflags --libs vfm)
	gcc -Wall -Wextra -Werror -o "$dir/integration" examples/c/integration.c "${flags[@]}" || return 1
	LD_LIBRARY_PATH=$dir/lib "$dir/integration" >"$dir/decided" || return 1
	printf 'protocol 6: accepted (1)\nprotocol 17: dropped\n' | diff - "$dir/decided" || return 1
	LD_LIBRARY_PATH=$dir/lib "$dir/integration" '(= proto' 2>"$dir/decided" && return 1
	echo "Compilation failed: 1:1: this parenthesis is never closed; add ')'" | diff - "$dir/decided"
}

check "make install succeeds" make -s install PREFIX="$dir"
check "the programs are there" test -x "$dir/bin/vfm-asm" -a -x "$dir/bin/vfm-test"
check "a C program runs with the shared library" shared_runs
check "a C program runs with the static library" static_runs
check "the manual's C program compiles a filter and decides" integration_decides
check "only the manual's API is exported" only_the_api_is_exported
