SRCS-lib += $(wildcard core/nn/*.c)
