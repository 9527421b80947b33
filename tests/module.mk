# What is dropped into these folders is built and run without a line here:
#   tests/{unit,fault,parity}/test_X.c   a cmocka program, linked with libmien.a
#   tests/fuzz/fuzz_X.c                  a fuzz target, replayed over tests/fuzz/corpus/X
#   tests/*/test_X.sh, test_X.py         a script, run from the repository's root after everything is built
#   tests/bench/bench_X.sh, bench_X.py   run by make bench only
TESTS += $(wildcard tests/unit/test_*.c tests/fault/test_*.c tests/parity/test_*.c)
FUZZERS += $(wildcard tests/fuzz/fuzz_*.c)
SCRIPTS := $(sort $(wildcard tests/*/test_*.sh tests/*/test_*.py))
BENCHES := $(sort $(wildcard tests/bench/bench_*.sh tests/bench/bench_*.py))
CFLAGS-tests/unit := $(CMOCKA_CFLAGS)
CFLAGS-tests/fault := $(CMOCKA_CFLAGS)
CFLAGS-tests/parity := $(CMOCKA_CFLAGS)
