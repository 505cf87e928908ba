#!/bin/bash
# lint.sh: every static check, all of them even after one failed. make lint calls it with the C sources for cppcheck and clang-tidy.
set -u
bad=0

git ls-files --cached --others --exclude-standard '*.c' '*.h' | xargs clang-format --dry-run -Werror || bad=1

bash test/lint-layers.sh || bad=1

git ls-files --cached --others --exclude-standard '*.sh' .ci/run | xargs shellcheck -e SC1091 || bad=1

cppcheck --quiet --error-exitcode=1 --inline-suppr --enable=warning,portability --std=c11 -j 2 -I. -D_GNU_SOURCE \
	--suppress=missingIncludeSystem --suppress=uninitvar --suppress=checkersReport --suppress=normalCheckLevelMaxBranches "$@" || bad=1

# A short list: what finds faults here and is silent otherwise. The analyzer's checks for garbage values and zero divisors do not know the
# invariants of a verified program, so the sanitizers look for those.
checks='-*,bugprone-*,-bugprone-easily-swappable-parameters,-bugprone-narrowing-conversions,-bugprone-reserved-identifier'
checks+=',-bugprone-implicit-widening-of-multiplication-result,-bugprone-macro-parentheses,-bugprone-assignment-in-if-condition'
checks+=',-bugprone-branch-clone,-bugprone-suspicious-string-compare,-bugprone-sizeof-expression,-bugprone-too-small-loop-variable'
checks+=',-bugprone-not-null-terminated-result,clang-analyzer-core.NullDereference,clang-analyzer-core.StackAddressEscape'
checks+=',clang-analyzer-unix.*,misc-unused-parameters'
printf '%s\0' "$@" | xargs -0 -n 4 -P 2 clang-tidy --quiet -p . --warnings-as-errors='*' --checks="$checks" 2>/dev/null || bad=1
exit $bad
