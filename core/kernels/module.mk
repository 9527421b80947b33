SRCS-lib += $(wildcard core/kernels/*.c)
# Files of one instruction set only where the compiler targets that machine.
ifeq ($(ARCH),x86_64)
SRCS-lib += $(wildcard core/kernels/x86/*.c)
endif
