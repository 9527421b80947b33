# tests/unit/test_X.c is one cmocka program, linked with libmien.a.
TESTS += $(wildcard tests/unit/test_*.c)
CFLAGS-tests/unit := $(CMOCKA_CFLAGS)
