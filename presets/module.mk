SRCS-lib += $(wildcard presets/*.c)
