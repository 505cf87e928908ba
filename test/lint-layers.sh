#!/bin/bash
# lint-layers.sh: the include lines obey the layers of the architecture, and each third-party library has one importing file.
# Prints every include line that does not; exit 1 if there is one.
set -u
bad=0

say() {
	echo "$1"
	bad=1
}

# FOLDER: which folders it may include.
allowed() {
	case $1 in
	state) echo state ;;
	vm) echo state vm ;;
	jit) echo state vm jit ;;
	analysis) echo state vm analysis ;;
	node) echo state vm jit analysis node ;;
	controller) echo state vm analysis controller ;;
	test) echo state vm jit analysis node controller test ;;
	esac
}

for folder in state vm jit analysis node controller test; do
	[ -d $folder ] || continue
	while IFS=: read -r file line text; do
		target=${text#*\"}
		target=${target%%\"*}
		if [ ! -f "$target" ]; then
			say "$file:$line: \"$target\" is not a path from the top folder: include \"folder/file.h\""
		elif [[ " $(allowed $folder) " != *" ${target%%/*} "* ]]; then
			say "$file:$line: $folder may not include ${target%%/*} ($target): it may include $(allowed $folder)"
		fi
	done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' --include='*.[ch]' $folder)
done

# The libraries: a header pattern, the folders that may use it at all, and how many files of each folder.
while read -r header folders; do
	while IFS= read -r file; do
		[[ " $folders " == *" ${file%%/*} "* ]] || say "$file: includes $header, which only $folders may"
	done < <(grep -rlE "#[[:space:]]*include[[:space:]]*<$header" --include='*.[ch]' state vm jit analysis node controller 2>/dev/null)
	for folder in $folders; do
		mapfile -t users < <(grep -rlE "#[[:space:]]*include[[:space:]]*<$header" --include='*.[ch]' "$folder" 2>/dev/null)
		[ "$header" = rte_ ] && continue # one file and its helpers
		[ ${#users[@]} -le 1 ] || say "$header is imported by ${users[*]}: one file of $folder should wrap it"
	done
done <<'TABLE'
pcap node
msgpack state
czmq node controller
zmq node controller
sqlite3 controller
rte_ node
capstone jit
openssl analysis
jansson analysis controller node
TABLE

# The floor is pure: no sockets, threads or wall clock below the programs.
while IFS=: read -r file line text; do
	say "$file:$line: ${text} in a pure folder: sockets, threads and clocks are for node and controller"
done < <(grep -nE '#[[:space:]]*include[[:space:]]*<(sys/socket|netinet/in|poll|sys/epoll|pthread|threads|sys/time)\.h>' \
	--include='*.[ch]' -r state vm analysis 2>/dev/null | grep -v '/cmd/')
exit $bad
