SRCS-lib += $(wildcard gallery/*.c)
