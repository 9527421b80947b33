SRCS-lib += $(wildcard core/base/*.c)
