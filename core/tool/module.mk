# The one leaf that may use everything, FFmpeg's libraries included; not part of libmien.
SRCS-tool += $(wildcard core/tool/*.c)
CFLAGS-core/tool := $(AV_CFLAGS) $(MQTT_CFLAGS)
# the statistics are tested by themselves
OBJS-tests/unit/test_roc := $(O)/obj/core/tool/roc.o
$(O)/tests/unit/test_roc: $(O)/obj/core/tool/roc.o
OBJS-tests/unit/test_ap := $(O)/obj/core/tool/ap.o
$(O)/tests/unit/test_ap: $(O)/obj/core/tool/ap.o
OBJS-tests/unit/test_appearances := $(O)/obj/core/tool/appearances.o
$(O)/tests/unit/test_appearances: $(O)/obj/core/tool/appearances.o
OBJS-tests/fuzz/fuzz_lists := $(addprefix $(O)/obj/core/tool/,pairs.o templates.o files.o out.o)
$(O)/tests/fuzz/fuzz_lists: $(OBJS-tests/fuzz/fuzz_lists)
OBJS-tests/unit/test_stitch := $(O)/obj/core/tool/stitch.o $(O)/obj/core/tool/words.o
$(O)/tests/unit/test_stitch: $(OBJS-tests/unit/test_stitch)
OBJS-tests/fuzz/fuzz_stitch := $(O)/obj/core/tool/stitch.o $(O)/obj/core/tool/words.o
$(O)/tests/fuzz/fuzz_stitch: $(OBJS-tests/fuzz/fuzz_stitch)
WATCH_OBJS := $(addprefix $(O)/obj/core/tool/,watch_config.o watch_secrets.o watch_command.o watch_progress.o watch_log.o typed.o out.o)
OBJS-tests/unit/test_watch := $(WATCH_OBJS)
$(O)/tests/unit/test_watch: $(WATCH_OBJS)
OBJS-tests/fault/test_watch := $(WATCH_OBJS)
$(O)/tests/fault/test_watch: $(WATCH_OBJS)
OBJS-tests/fuzz/fuzz_watch := $(WATCH_OBJS)
$(O)/tests/fuzz/fuzz_watch: $(WATCH_OBJS)
OBJS-tests/fuzz/fuzz_event := $(O)/obj/core/tool/event_read.o
$(O)/tests/fuzz/fuzz_event: $(O)/obj/core/tool/event_read.o
