# mien: libmien.a, the mien command, the drop-in libavfilter, tests. `make help` lists the targets.
# Every folder adds its sources in its own module.mk; what is found with $(wildcard) needs no line anywhere.

.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

# B is the build folder, O where objects of this variant go (SAN=1: AddressSanitizer and UBSan).
B := build
O := $(B)$(if $(filter 1,$(SAN)),/san)

NO_CONFIG := help clean distclean style
ifneq ($(or $(if $(MAKECMDGOALS),,all),$(filter-out $(NO_CONFIG),$(MAKECMDGOALS))),)
include config.mak
config.mak: configure VERSION
	./configure $(CONFIGURE_ARGS)
endif

SRCS-lib :=
SRCS-tool :=
TESTS :=
include $(sort $(wildcard core/*/module.mk gallery/module.mk presets/module.mk filters/module.mk tests/module.mk))

# ---- how things are compiled
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes $(if $(filter yes,$(CONFIG_WERROR)),-Werror)
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
TOOL := $(if $(and $(filter yes,$(CONFIG_TOOL)),$(SRCS-tool)),$(O)/bin/mien)

JOBS := $(shell nproc 2>/dev/null || echo 2)

.PHONY: all dropin check check-fast clean distclean help FORCE
all: $(O)/libmien.a $(TOOL)

# The flags of the last compile; changed flags (CC=clang, CFLAGS=…) compile everything again.
$(O)/flags: FORCE
	@mkdir -p $(O)
	@printf '%s\n' '$(CC) $(ALL_CFLAGS) $(LDFLAGS)' >$@.new; if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(O)/obj/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	@echo "  CC   $<"
	@$(CC) $(ALL_CFLAGS) $(call isa,$<) $(call folder_flags,$<) -MMD -MP -c -o $@ $<

# Made anew each time: an archive would keep the members of files that are gone.
$(O)/libmien.a: $(LIB_OBJS)
	@mkdir -p $(@D)
	@echo "  AR   $@"
	@rm -f $@; $(if $(LIB_OBJS),$(AR) rcs $@ $(LIB_OBJS),$(AR) rcs $@)

$(O)/bin/mien: $(TOOL_OBJS) $(O)/libmien.a
	@mkdir -p $(@D)
	@echo "  LD   $@"
	@$(CC) $(CFLAGS) $(SAN_FLAGS) $(LDFLAGS) -o $@ $(TOOL_OBJS) $(O)/libmien.a $(AV_LIBS) $(DEPS_LIBS)

# libmien as pkg-config sees it in the build tree; the drop-in's configure finds it there.
# mien_pc(prefix-or-empty, libdir, cflags)
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

# The drop-in libavfilter. build.sh decides what there is to do; a run with nothing to do takes a second.
dropin: $(B)/libmien.a $(B)/pkgconfig/mien.pc $(B)/bin/ffmpeg $(B)/bin/ffprobe $(B)/bin/ffplay
	+@OUT='$(CURDIR)/$(B)' FFMPEG='$(FFMPEG)' FFMPEG_SOURCE='$(FFMPEG_SOURCE)' JOBS='$(JOBS)' \
	    PKG_CONFIG_PATH="$(CURDIR)/$(B)/pkgconfig" sh filters/build.sh

# One wrapper under three names.
$(B)/bin/ffmpeg $(B)/bin/ffprobe $(B)/bin/ffplay: filters/wrapper.sh
	@mkdir -p $(@D)
	@cp $< $@ && chmod +x $@

# Tests: one program a file, $(LIBS-<test>) and $(OBJS-<test>) add to its link line.
$(TEST_BINS): $(O)/%: $(O)/obj/%.o $(O)/libmien.a
	@mkdir -p $(@D)
	@echo "  LD   $@"
	@$(CC) $(CFLAGS) $(SAN_FLAGS) $(LDFLAGS) -o $@ $< $(OBJS-$*) $(O)/libmien.a $(LIBS-$*) $(CMOCKA_LIBS) $(TEST_DEPS_LIBS)

check-fast: all $(TEST_BINS)
	@sh tests/run.sh $(TEST_BINS)

check: check-fast

clean:
	rm -rf $(B)

distclean: clean
	rm -f config.mak config.h config.log

help:
	@sed -n 's/^#: //p' Makefile

#: all          libmien.a, the mien command                              (the default)
#: dropin       build/lib/libavfilter.so.N with the filters in it, and build/bin/ffmpeg, ffprobe, ffplay that use it
#: check-fast   unit tests
#: check        all tests
#: clean        remove build/
#: distclean    remove build/ and what configure wrote
#: SAN=1        the same target with AddressSanitizer and UBSan, in build/san/
#: CC=clang     the same target with another compiler

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)
