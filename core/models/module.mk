SRCS-lib += $(wildcard core/models/*.c)
# Imported models are pinned by their hash: no machine may contract a·b + c to one rounding.
CFLAGS-core/models := -ffp-contract=off
