# tests/unit/test_X.c is one cmocka program, linked with libmien.a.
TESTS += $(wildcard tests/unit/test_*.c)
CFLAGS-tests/unit := $(CMOCKA_CFLAGS)
TESTS += $(wildcard tests/parity/test_*.c)
CFLAGS-tests/parity := $(CMOCKA_CFLAGS)
