SRCS-lib += $(wildcard core/kernels/*.c)
# Files of one instruction set only where the compiler targets that machine.
ifeq ($(ARCH),x86_64)
SRCS-lib += $(wildcard core/kernels/x86/*.c)
endif
# Loops are vectorised by the compiler; no product and sum are contracted into one rounding behind our back.
CFLAGS-core/kernels := -O3 -ffp-contract=off
CFLAGS-core/kernels/x86 := -O3 -ffp-contract=off
