SRCS-lib += $(wildcard core/models/*.c)
