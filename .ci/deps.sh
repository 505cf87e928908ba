#!/bin/sh
# deps.sh: installs the Debian packages of packages.txt that are missing; says nothing when none is.
#
#   .ci/deps.sh         those that building, `make demo` and `make test` need
#   .ci/deps.sh all     also those marked "dev:" (lint, fuzzing, the clang build)
#
# As root, or through sudo; otherwise it prints the command to run. Exit 0: everything is there.
set -u
cd "$(dirname "$0")/.." || exit 1

if [ "${1:-}" = all ]; then
	wanted=$(sed 's/#.*//' packages.txt | awk 'NF { print $1 }')
else
	wanted=$(sed 's/#.*//' packages.txt | awk 'NF && $2 != "dev:" { print $1 }')
fi

if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "deps: this is no Debian, so packages cannot be installed for you: install what packages.txt lists" >&2
	exit 0 # the compiler will say what is missing
fi
missing=
for package in $wanted; do
	case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
	installed) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

root=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null 2>&1; then
		echo "deps: missing packages, and neither root nor sudo: run as root: apt-get install$missing" >&2
		exit 1
	fi
	root="sudo --preserve-env=DEBIAN_FRONTEND"
fi
echo "deps: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp) || exit 1
# shellcheck disable=SC2086 # lists of words
if ! { $root apt-get install -qq -y --no-install-recommends $missing ||
	{ $root apt-get update -qq && $root apt-get install -qq -y --no-install-recommends $missing; }; } >"$log" 2>&1 </dev/null; then
	tail -n 15 "$log" >&2
	rm -f "$log"
	echo "deps: apt-get could not install$missing: see above, then run make deps" >&2
	exit 1
fi
rm -f "$log"
