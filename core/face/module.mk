SRCS-lib += $(wildcard core/face/*.c)
