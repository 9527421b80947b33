/* mien watch when memory runs out: every allocation of reading a configuration and making its commands fails once, and from then on. Each
 * says so, leaks nothing, and works when there is memory again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "mien/common.h"
#include "mien/error.h"
#include "tool/watch_command.h"

static const char text[] = "[watch]\nrun = r\ngallery = g:1\nafter = null\n[camera a]\nurl = rtsp://u@h/s?t=1234\npassword = secret\noptions = a=b\n"
                           "record = -c copy {name}.mkv\n[camera b]\nurl = x\nformat = lavfi\noptions = a=b\n";

static int read_and_make(void)
{
    WatchConfig c;
    char why[200];
    int ret = watch_config_parse(&c, text, sizeof(text) - 1, why, sizeof(why));
    for (size_t i = 0; ret >= 0 && i < c.n_cameras; i++) {
        WatchCommand cmd;
        ret = watch_command_make(&cmd, &c.camera[i], 1, why, sizeof(why));
        assert_true(ret >= 0 || !cmd.argv.n);
        watch_command_free(&cmd);
    }
    assert_true(ret >= 0 || strstr(why, "out of memory"));
    watch_config_free(&c);
    return ret;
}

static void every_allocation_fails(void **state)
{
    (void)state;
    assert_int_equal(read_and_make(), 0);
    for (int sticky = 0; sticky < 2; sticky++) {
        uint64_t n = 0;
        int ret;
        do {
            uint64_t before = mien_mem_live_bytes();
            mien_mem_fail_at(++n, sticky);
            ret = read_and_make();
            mien_mem_fail_at(0, 0);
            assert_true(ret == 0 || ret == MIEN_ERR(ENOMEM));
            assert_int_equal(mien_mem_live_bytes(), before);
        } while (ret < 0);
        assert_true(n > 50);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_allocation_fails) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
