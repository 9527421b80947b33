# The one leaf that may use everything, FFmpeg's libraries included; not part of libmien.
SRCS-tool += $(wildcard core/tool/*.c)
CFLAGS-core/tool := $(AV_CFLAGS)
