SRCS-lib += $(wildcard core/image/*.c)
