# These are not part of libmien: they are compiled inside an FFmpeg tree.
FILTER_SRCS := $(wildcard filters/*.c filters/*.h)
