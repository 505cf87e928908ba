# A state-migrating packet-filter cluster. Goals:
#
#   make all        build libraries, programs (build/bin/) and test suites (make bins: the programs alone)
#   make demo       rehearse a real cluster on generated traffic (or FILTER=... CAPTURE=...); ends with "0 differing verdicts of N packets"
#   make test       every test that fits in two minutes (what CI runs)
#   make test-all   the long runs: 10^6 generated cases, sanitizers, clang, long fuzzing, every mutant
#   make bench      all benchmarks (bench-vm, bench-table, bench-compile, bench-node, bench-cluster); each also writes build/bench/NAME.json
#   make fuzz       libFuzzer on every parser, FUZZ_SECONDS each (default 60); FUZZ_KEEP=1 adds new inputs to test/fuzz/corpus
#   make model      the protocol's models, checked by spin (MODEL=all: also those that take long)
#   make mutants    one-line faults put into the code, each of which must turn a test red
#   make lint       formatting, layer check, cppcheck, clang-tidy, shellcheck
#   make fmt        format the C files in place
#   make docs       write docs/isa.md, draw docs/*.dot into build/docs and check the links of the pages
#   make deps       install the Debian packages of packages.txt (test and demo install what they need themselves)
#   make install    install programs, libvfm and its pkg-config file below PREFIX (default /usr/local)
#   make clean      remove build/
#   make help       this text
#
# Variables: SAN=address,undefined (or thread) and CC=clang build beside the normal tree (build/san, build/clang), not over it;
# ONLY=text runs only the test suites, or mutants, whose path contains text; V=1 shows the commands; PREFIX and DESTDIR for install.

.DEFAULT_GOAL := all
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
SAN ?=
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
PREFIX ?= /usr/local

FUZZ_SECONDS ?= 60
VERSION := 1.0.0
goals := $(or $(MAKECMDGOALS),all)
# As many compilers at a time as there are processors, unless make is told -j; cleaning first waits for its turn.
$(if $(filter -j%,$(MAKEFLAGS) $(MFLAGS)),,$(eval MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)))
ifneq ($(filter clean,$(goals)),)
.NOTPARALLEL:
endif

# One tree per kind of build: build, build/clang, build/san, build/clang-tsan, ...; build/fuzz for libFuzzer (SAN=fuzzer-no-link,...).
empty :=
kind := $(if $(findstring thread,$(SAN)),tsan,$(if $(findstring fuzzer,$(SAN)),fuzz,$(if $(SAN),san)))
variant := $(if $(filter fuzz,$(kind)),fuzz,$(subst $(empty) ,-,$(strip $(if $(findstring clang,$(CC)),clang) $(kind))))
B := build$(if $(variant),/$(variant))
BIN := $(B)/bin
OBJ := $(B)/obj

folders := state vm jit analysis node controller
# Link order: callers first, the floor last (a call upward does not link).
layers := controller node analysis jit vm state

pkgs_state := msgpack
pkgs_vm :=
pkgs_jit := capstone
pkgs_analysis := jansson libcrypto
pkgs_node := libpcap libczmq libzmq jansson
pkgs_controller := libczmq libzmq sqlite3 jansson
pkgs_test := cmocka libpcap
all_pkgs := $(sort $(foreach f,$(folders) test,$(pkgs_$(f))))

warn := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
base := -std=gnu11 -O2 -g -fno-strict-aliasing -fno-omit-frame-pointer -D_GNU_SOURCE -I. $(warn)
san := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)
CFLAGS ?=
LDFLAGS ?=
flags = $(base) $(san) $(CFLAGS) -fPIC -MMD -MP

# What compiles needs the libraries. demo, test and test-all install them; the others say so.
ifneq ($(filter-out clean help deps fmt,$(goals)),)
ifneq ($(filter demo test test-all,$(goals)),)
ifneq ($(shell sh .ci/deps.sh >&2 && echo ready),ready)
$(error packages are missing, see above)
endif
endif
ifneq ($(shell pkg-config --exists $(all_pkgs) 2>/dev/null && echo ready),ready)
$(error packages are missing: run make deps)
endif
pkg_cflags := $(shell pkg-config --cflags $(all_pkgs))
pkg_libs := $(shell pkg-config --libs $(all_pkgs))
endif

lib_src = $(wildcard $(1)/*.c)
cmd_src := $(foreach f,$(folders),$(wildcard $(f)/cmd/*.c))
test_lib_src := $(wildcard test/lib/*.c)
suite_src := $(wildcard test/unit/*.c test/golden/*.c test/prop/*.c test/sim/*.c)
tool_src := $(wildcard test/tools/*.c test/bench/*.c)
# What bench-vm is made of, and the filters in C, which it measures as either compiler makes them for this CPU.
twin_src := $(wildcard test/bench/vm/twins*.c)
bench_vm_src := $(filter-out $(twin_src),$(wildcard test/bench/vm/*.c))
twin_compilers := gcc $(if $(shell command -v clang 2>/dev/null),clang)
fuzz_src := $(filter-out test/fuzz/replay.c,$(wildcard test/fuzz/*.c))
# Tests that are scripts. Helpers of scripts live elsewhere (test/lib, test/tools).
scripts := $(foreach d,unit golden prop sim net,$(wildcard test/$(d)/*.sh test/$(d)/*.py))

libs := $(foreach f,$(layers),$(if $(call lib_src,$(f)),$(B)/lib$(f).a))
bins := $(foreach s,$(cmd_src),$(BIN)/$(basename $(notdir $(s))))
suites := $(suite_src:%.c=$(B)/%)
tools := $(tool_src:%.c=$(B)/%)
replays := $(fuzz_src:%.c=$(B)/%)
sources := $(foreach f,$(folders),$(call lib_src,$(f))) $(cmd_src) $(test_lib_src) $(suite_src) $(tool_src) $(bench_vm_src) $(twin_src) $(wildcard test/fuzz/*.c)
c_files := $(sources) $(wildcard $(foreach f,$(folders) test/lib test/unit test/golden test/prop test/sim test/sim/lib test/tools test/bench test/bench/vm,$(f)/*.h))

objs = $(patsubst %.c,$(OBJ)/%.o,$(1))
sim_src := state/config.c $(patsubst %,node/%.c,feed log member node outbox owner replica steerer) $(patsubst %,controller/%.c,placement reconciler store_memory) $(wildcard test/sim/lib/*.c)
sim_objs := $(patsubst %.c,$(OBJ)/removable/%.o,$(sim_src))
faulty_objs := $(patsubst %.c,$(OBJ)/faulty/%.o,$(call lib_src,analysis))
faulty := $(patsubst %,$(B)/faulty/test_%,analysis certificate certificate_examples split_sound steering)
all_objs := $(call objs,$(sources))

.PHONY: all bins model demo test test-all bench fuzz fuzz-bins mutants lint fmt deps install clean help docs
all: $(libs) $(bins) $(suites) $(tools) $(replays) $(faulty)
bins: $(bins) $(tools)

# DPDK's headers want SSE4 and its own configuration; only the files that talk to it are built so.
dpdk_objs := $(filter %dpdk.o,$(all_objs))
$(dpdk_objs): pkg_cflags += $(if $(dpdk_objs),$(shell pkg-config --cflags libdpdk 2>/dev/null))
dpdk_libs := $(if $(dpdk_objs),$(shell pkg-config --libs libdpdk 2>/dev/null))

$(OBJ)/%.o: %.c
	@mkdir -p $(@D)
	$(if $(filter 0,$(V)),@echo "  cc   $<")
	$(Q)$(CC) $(flags) $(pkg_cflags) -c -o $@ $<

define lib_rule
$(B)/lib$(1).a: $(call objs,$(call lib_src,$(1)))
	@rm -f $$@
	$(Q)ar rcs $$@ $$^
endef
$(foreach f,$(folders),$(eval $(call lib_rule,$(f))))
$(B)/libtest.a: $(call objs,$(test_lib_src))
	@rm -f $@
	$(Q)ar rcs $@ $^

link = $(Q)$(CC) $(san) $(LDFLAGS) -o $@ $(1) $(2) $(libs) $(pkg_libs) $(dpdk_libs) -lm -lpthread -ldl
define bin_rule
$(BIN)/$(basename $(notdir $(1))): $(call objs,$(1)) $(libs)
	@mkdir -p $$(@D)
	$$(call link,$$<)
endef
$(foreach s,$(cmd_src),$(eval $(call bin_rule,$(s))))
$(suites) $(tools): $(B)/%: $(OBJ)/%.o $(B)/libtest.a $(libs)
	@mkdir -p $(@D)
	$(call link,$(filter %.o,$^),$(B)/libtest.a)
twin_objs := $(foreach c,$(twin_compilers),$(twin_src:%.c=$(OBJ)/%-$(c).o))
define twin_rule
$(OBJ)/%-$(1).o: %.c
	@mkdir -p $$(@D)
	$(if $(filter 0,$(V)),@echo "  $(1) -O3 $$<")
	$(Q)$(1) $(base) -O3 -march=native -MMD -MP -DTWIN=$(1) -c -o $$@ $$<
endef
$(foreach c,$(twin_compilers),$(eval $(call twin_rule,$(c))))
$(B)/test/bench/bench_vm: $(call objs,$(bench_vm_src)) $(twin_objs)
# The simulator's suites get the cluster's core compiled once more, with the switches that remove safeguards (state/safeguard.h).
$(OBJ)/removable/%.o: %.c
	@mkdir -p $(@D)
	$(if $(filter 0,$(V)),@echo "  cc   $< (removable safeguards)")
	$(Q)$(CC) $(flags) -DSIM_SAFEGUARDS $(pkg_cflags) -c -o $@ $<
$(B)/libsim.a: $(sim_objs)
	@rm -f $@
	$(Q)ar rcs $@ $^
$(filter $(B)/test/sim/%,$(suites)): libs := $(B)/libsim.a $(libs)
$(filter $(B)/test/sim/%,$(suites)): $(B)/libsim.a
# The analyzer's property suites once more, with an analyzer that can be broken (analysis/fault.h, test/prop/analysis_faults.sh).
$(OBJ)/faulty/%.o: %.c
	@mkdir -p $(@D)
	$(if $(filter 0,$(V)),@echo "  cc   $< (faults)")
	$(Q)$(CC) $(flags) -DANALYSIS_FAULTS $(pkg_cflags) -c -o $@ $<
$(faulty): $(B)/faulty/%: $(OBJ)/test/prop/%.o $(faulty_objs) $(B)/libtest.a $(libs)
	@mkdir -p $(@D)
	$(call link,$< $(faulty_objs),$(B)/libtest.a)
# A fuzz harness is run by libFuzzer in build/fuzz, and replayed over its corpus by a plain main everywhere else.
$(replays): $(B)/%: $(OBJ)/%.o $(if $(filter fuzz,$(kind)),,$(OBJ)/test/fuzz/replay.o) $(B)/libtest.a $(libs)
	@mkdir -p $(@D)
	$(call link,$(if $(filter fuzz,$(kind)),-fsanitize=fuzzer) $(filter %.o,$^),$(B)/libtest.a)
fuzz-bins: $(replays)

# The compiler for the other CPU, with what it needs of state and vm and no library; test/prop/jit_arm64.sh runs it in an emulator.
CROSS_CC := aarch64-linux-gnu-gcc
cross_src := test/cross/jit_cross.c $(shell grep -sL "<capstone" jit/*.c) $(wildcard vm/ir*.c) $(patsubst %,state/%.c,table table_queue table_state shard flat) \
	$(patsubst %,vm/%.c,isa verify program packet step interp fuse fuse_list match lift lift_end lift_flow) $(patsubst %,test/lib/%.c,gen_program gen_traffic malform packets traffic)
cross_objs := $(cross_src:%.c=build/arm64/%.o)
build/arm64/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CROSS_CC) $(base) $(CFLAGS) -MMD -MP -c -o $@ $<
# By way of a library, so that only what is called has to link.
build/arm64/jit_cross: $(cross_objs)
	@rm -f $(@D)/libcross.a
	$(Q)ar rcs $(@D)/libcross.a $(filter-out $<,$^)
	$(Q)$(CROSS_CC) -static -o $@ $< $(@D)/libcross.a

-include $(all_objs:.o=.d) $(twin_objs:.o=.d) $(sim_objs:.o=.d) $(faulty_objs:.o=.d) $(cross_objs:.o=.d)

test: all
	@BUILD=$(B) ONLY='$(ONLY)' bash test/run.sh $(suites) $(replays) $(scripts)

test-all:
	$(MAKE) test TEST_ALL=1
	$(MAKE) test CC=clang
	$(MAKE) test SAN=address,undefined
	$(MAKE) fuzz FUZZ_SECONDS=$(if $(filter 60,$(FUZZ_SECONDS)),600,$(FUZZ_SECONDS))
	$(MAKE) mutants lint

model:
	@BUILD=$(B) bash test/model/run.sh $(or $(MODEL),quick)

demo: bins
	@BUILD=$(B) FILTER="$(FILTER)" CAPTURE="$(CAPTURE)" bash test/tools/demo.sh

fuzz:
	+@$(MAKE) CC=clang SAN=fuzzer-no-link,address,undefined fuzz-bins
	@BUILD=build/fuzz SECONDS_EACH=$(FUZZ_SECONDS) ONLY='$(ONLY)' bash test/fuzz/run.sh $(basename $(notdir $(fuzz_src)))

mutants:
	@BUILD=$(B) ONLY='$(ONLY)' bash test/mutants/run.sh

# bench-NAME runs test/bench/NAME.c or bench_NAME.c, then the scripts beside it, NAME*.py, if there are any; bench runs all of them,
# one after another.
bench_src := $(wildcard test/bench/*.c)
bench_name = bench-$(patsubst bench_%,%,$(basename $(notdir $(1))))
define bench_rule
.PHONY: $(call bench_name,$(1))
$(call bench_name,$(1)): $(1:%.c=$(B)/%)
	@mkdir -p $(B)/bench
	BUILD=$(B) $$<
	@set -e; for s in $(wildcard $(1:.c=.py) $(1:.c=_*.py)); do BUILD=$(B) python3 $$$$s; done
endef
$(foreach s,$(bench_src),$(eval $(call bench_rule,$(s))))
bench-cluster: bins
bench:
	@set -e; for b in $(foreach s,$(bench_src),$(call bench_name,$(s))); do $(MAKE) $$b; done

compile_commands.json: Makefile $(sources)
	@{ echo '['; sep=; for s in $(sources); do echo "$$sep{\"directory\":\"$(CURDIR)\",\"file\":\"$$s\"," \
		"\"command\":\"$(CC) $(flags) $(pkg_cflags) -c $$s\"}"; sep=,; done; echo ']'; } >$@

lint: compile_commands.json
	@bash test/lint.sh $(filter-out %dpdk.c,$(sources))

fmt:
	clang-format -i $(c_files)

docs: docs/isa.md $(patsubst docs/%.dot,build/docs/%.svg,$(wildcard docs/*.dot))
	python3 test/golden/docs_links.py
docs/isa.md: $(B)/test/tools/isa_doc
	$< >$@.new && mv $@.new $@
build/docs/%.svg: docs/%.dot
	@mkdir -p $(@D)
	dot -Tsvg -o $@ $<

deps:
	@sh .ci/deps.sh all

# libvfm is state, vm and jit in one library, with the manual's C API as its only exported names; listings (capstone) stay out.
libvfm_objs := $(call objs,$(call lib_src,state) $(call lib_src,vm) $(filter-out jit/list.c,$(call lib_src,jit)))
$(B)/libvfm.a: $(libvfm_objs)
	@rm -f $@
	$(Q)ar rcs $@ $^
$(B)/libvfm.map: vm/vfm.h
	@{ echo '{ global:'; grep -oE '\b(vfm|vfl)_[a-z_0-9]+\(' $< | sort -u | tr '(' ';'; echo 'local: *; };'; } >$@
$(B)/libvfm.so.1: $(libvfm_objs) $(B)/libvfm.map
	$(Q)$(CC) $(san) $(LDFLAGS) -shared -Wl,-z,defs -Wl,-soname,libvfm.so.1 -Wl,--version-script=$(B)/libvfm.map -o $@ $(libvfm_objs)
install: bins $(B)/libvfm.a $(B)/libvfm.so.1
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin include lib/pkgconfig)
	install $(bins) $(DESTDIR)$(PREFIX)/bin
	install -m 644 vm/vfm.h $(DESTDIR)$(PREFIX)/include
	install -m 644 $(B)/libvfm.a $(DESTDIR)$(PREFIX)/lib
	install $(B)/libvfm.so.1 $(DESTDIR)$(PREFIX)/lib
	ln -sf libvfm.so.1 $(DESTDIR)$(PREFIX)/lib/libvfm.so
	printf '%s\n' 'prefix=$(PREFIX)' 'Name: libvfm' 'Description: the VFM packet filter machine' 'Version: $(VERSION)' \
		'Libs: -L$${prefix}/lib -lvfm' 'Cflags: -I$${prefix}/include' >$(DESTDIR)$(PREFIX)/lib/pkgconfig/vfm.pc

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

clean:
	rm -rf build compile_commands.json
