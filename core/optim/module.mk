SRCS-lib += $(wildcard core/optim/*.c)
