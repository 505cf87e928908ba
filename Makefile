# A state-migrating packet-filter cluster. Goals:
#
#   make all        build libraries, programs (build/bin/) and test suites
#   make demo       the guided tour of README.md; ends with "0 differing verdicts of N packets"
#   make test       every test that fits in two minutes (what CI runs)
#   make test-all   the long runs: 10^6 generated cases, long fuzzing, every mutant
#   make bench      all benchmarks (bench-vm, bench-table, ...); each also writes build/bench/NAME.json
#   make fuzz       libFuzzer on every parser, FUZZ_SECONDS each (default 60)
#   make mutants    one-line faults put into the code, each of which must turn a test red
#   make lint       formatting, layer check, cppcheck, clang-tidy, shellcheck
#   make fmt        format the C files in place
#   make deps       install the Debian packages of packages.txt
#   make install    install programs, libvfm and its pkg-config file below PREFIX (default /usr/local)
#   make clean      remove build/
#   make help       this text
#
# Variables: SAN=address,undefined and CC=clang build beside the normal tree (build/san, build/clang), not over it;
# ONLY=text runs only the test suites whose path contains text; V=1 shows the commands.

.DEFAULT_GOAL := all
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
SAN ?=
V ?= 0
Q := $(if $(filter 1,$(V)),,@)
PREFIX ?= /usr/local

variant := $(if $(SAN),san,$(if $(findstring clang,$(CC)),clang,))
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

ifneq ($(filter-out clean help deps fmt install-deps,$(or $(MAKECMDGOALS),all)),)
pkg_cflags := $(shell pkg-config --cflags $(all_pkgs) 2>/dev/null)
pkg_libs := $(shell pkg-config --libs $(all_pkgs) 2>/dev/null)
endif

lib_src = $(wildcard $(1)/*.c)
cmd_src := $(foreach f,$(folders),$(wildcard $(f)/cmd/*.c))
test_lib_src := $(wildcard test/lib/*.c)
suite_src := $(wildcard test/unit/*.c test/golden/*.c test/prop/*.c test/sim/*.c)
tool_src := $(wildcard test/tools/*.c test/bench/*.c)
fuzz_src := $(filter-out test/fuzz/replay.c,$(wildcard test/fuzz/*.c))
# Tests that are scripts. Helpers of scripts live elsewhere (test/lib, test/tools).
scripts := $(foreach d,unit golden prop sim net,$(wildcard test/$(d)/*.sh test/$(d)/*.py))

libs := $(foreach f,$(layers),$(if $(call lib_src,$(f)),$(B)/lib$(f).a))
bins := $(foreach s,$(cmd_src),$(BIN)/$(basename $(notdir $(s))))
suites := $(suite_src:%.c=$(B)/%)
tools := $(tool_src:%.c=$(B)/%)

objs = $(patsubst %.c,$(OBJ)/%.o,$(1))
all_objs := $(call objs,$(foreach f,$(folders),$(call lib_src,$(f))) $(cmd_src) $(test_lib_src) $(suite_src) $(tool_src))

.PHONY: all demo test test-all bench fuzz mutants lint fmt deps install clean help docs sim
all: $(libs) $(bins) $(suites) $(tools)

# DPDK's headers want SSE4 and its own configuration; only the files that talk to it are built so.
dpdk_objs := $(filter %dpdk.o,$(all_objs))
$(dpdk_objs): flags += $(shell pkg-config --cflags libdpdk 2>/dev/null)
dpdk_libs = $(if $(dpdk_objs),$(shell pkg-config --libs libdpdk 2>/dev/null))

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
	$(call link,$<,$(B)/libtest.a)

-include $(all_objs:.o=.d)

test: all
	@BUILD=$(B) ONLY='$(ONLY)' bash test/run.sh $(suites) $(scripts)

help:
	@sed -n 's/^# \{0,1\}//p; /^$$/q' Makefile

clean:
	rm -rf build compile_commands.json
