SRCS-lib += $(wildcard core/flow/*.c)
