SRCS-lib += $(wildcard core/style/*.c)
