/* Presets: made of pictures, blended, written, read back, refused, found. The feature network is a small one of VGG-19's shape; the
 * project's own presets are tests/cli's business. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "mien/preset.h"
#include "vgg_util.h"

enum { W = 160, H = 120 };
static MienModel *model, *other;
static uint8_t pixels[2][H * W * 3];
static MienImage picture[2];
static MienPreset *preset; /* of picture 0, three scales */

static MienPresetMakeParams params_of(const char *name)
{
    MienPresetMakeParams p = MIEN_PRESET_MAKE_DEFAULTS;
    p.log = keep;
    p.name = name;
    p.settings.size_px = 160;
    snprintf(p.settings.content_layer, sizeof(p.settings.content_layer), "relu2_1");
    return p;
}

static MienPreset *make(const char *name, int first, int n, const MienPresetMakeParams *given)
{
    MienPreset *p;
    MienPresetMakeParams params = given ? *given : params_of(name);
    if (mien_preset_make(&p, model, picture + first, n, &params) < 0)
        fail_msg("%s", last_line);
    return p;
}

static int setup(void **state)
{
    (void)state;
    MienImportParams a = { .name = "small" }, b = { .name = "small-avg", .pool = "avg" };
    model = vgg_model(vgg_file(9, 0), &a);
    other = vgg_model(vgg_file(9, 0), &b);
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < H * W * 3; k++) {
            int x = k / 3 % W, y = k / 3 / W, c = k % 3;
            double v = i ? sin(x * 0.7 + c) * cos(y * 0.4) : sin(x * 0.11 + y * 0.23 + c * 2);
            pixels[i][k] = (uint8_t)lrint(127.5 + 120 * v);
        }
        picture[i] = (MienImage){ .data = pixels[i], .stride_bytes = 3 * W, .w_px = W, .h_px = H, .pixel = MIEN_PIXEL_RGB8 };
    }
    preset = make("waves", 0, 1, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mien_preset_unref(&preset);
    mien_model_unref(&model);
    mien_model_unref(&other);
    return 0;
}

/* At the picture's own size nothing is scaled: the Gram matrix is that of the network's activations, here summed in double. */
static void gram_by_definition(void **state)
{
    (void)state;
    MienNet *net;
    MienShape s;
    MienNetParams np = MIEN_NET_DEFAULTS;
    np.w_px = W;
    np.h_px = H;
    assert_int_equal(mien_net_create(&net, model, &np), 0);
    float *x = mien_net_input(net, NULL);
    for (int k = 0; k < H * W * 3; k++)
        x[k] = (float)pixels[0][k] / 255;
    assert_int_equal(mien_net_run(net), 0);
    assert_int_equal(mien_preset_info(preset)->n_layers, 4);
    for (int i = 0; i < 4; i++) {
        const MienPresetLayer *l = mien_preset_layer(preset, i);
        const float *f = mien_net_output_named(net, l->name, &s), *gram = mien_preset_gram(preset, i, 0);
        size_t n_px = (size_t)s.h * (size_t)s.w, c = (size_t)s.c;
        double most = 0;
        assert_int_equal(l->channels, s.c);
        for (size_t a = 0; a < c; a++)
            most = fmax(most, (double)gram[a * c + a]);
        for (size_t a = 0; a < c; a++) {
            double mean = 0;
            for (size_t b = 0; b < c; b++) {
                double sum = 0;
                for (size_t p = 0; p < n_px; p++)
                    sum += (double)f[p * c + a] * (double)f[p * c + b];
                assert_true(fabs(sum / (double)n_px - (double)gram[a * c + b]) < 1e-5 * most);
                assert_true(gram[a * c + b] == gram[b * c + a]);
            }
            for (size_t p = 0; p < n_px; p++)
                mean += (double)f[p * c + a] / (double)n_px;
            assert_true(fabs(mean - (double)mien_preset_mean(preset, i, 0)[a]) < 1e-5 * sqrt(most));
        }
    }
    assert_null(mien_preset_gram(preset, 4, 0));
    assert_null(mien_preset_gram(preset, 0, 3));
    mien_net_destroy(&net);
}

static void facts(void **state)
{
    (void)state;
    const MienPresetInfo *i = mien_preset_info(preset);
    MienImage thumb;
    MienStyleTarget target;
    assert_string_equal(i->name, "waves");
    assert_string_equal(i->title, "");
    assert_string_equal(i->network_name, "small");
    assert_string_equal(i->network_sha256, mien_model_hash(model));
    assert_int_equal(i->n_scales, 3);
    assert_int_equal(mien_preset_scale(preset, 2), 4);
    assert_int_equal(mien_preset_scale(preset, 3), 0);
    assert_true(i->trace > 0);
    assert_int_equal(mien_preset_thumbnail(preset, &thumb), 0);
    assert_int_equal(thumb.w_px, 160);
    assert_int_equal(thumb.h_px, 120);
    assert_memory_equal(thumb.data, pixels[0], sizeof(pixels[0])); /* 160 px: as it was */
    assert_int_equal(mien_preset_find_layer(preset, "relu3_1"), 2);
    assert_int_equal(mien_preset_find_layer(preset, "relu9_1"), MIEN_E_NOTFOUND);
    assert_int_equal(mien_preset_target(preset, 1, &target), 0);
    assert_int_equal(target.n_layers, 4);
    assert_ptr_equal(target.layer[3].gram, mien_preset_gram(preset, 3, 1));
    assert_int_equal(mien_preset_target(preset, 3, &target), MIEN_E_NOTFOUND);
    assert_int_equal(mien_preset_fits(preset, model, keep), 0);
    assert_int_equal(mien_preset_fits(preset, other, keep), MIEN_E_MISMATCH);
    assert_non_null(strstr(last_line, "preset waves was made by the feature network small"));
    assert_non_null(strstr(last_line, "small-avg"));
}

static void there_and_back(void **state)
{
    (void)state;
    uint8_t *a, *b;
    size_t n_a, n_b;
    MienPreset *p;
    assert_int_equal(mien_preset_pack(preset, &a, &n_a, keep), 0);
    if (mien_preset_parse(&p, a, n_a, "p", keep) < 0)
        fail_msg("%s", last_line);
    assert_int_equal(mien_preset_pack(p, &b, &n_b, keep), 0);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a);
    for (int i = 0; i < 4; i++)
        for (int s = 0; s < 3; s++) {
            size_t c = (size_t)mien_preset_layer(p, i)->channels;
            assert_memory_equal(mien_preset_gram(p, i, s), mien_preset_gram(preset, i, s), c * c * sizeof(float));
        }
    assert_true(mien_preset_info(p)->settings.strength == 100);
    MienPreset *again = mien_preset_ref(p);
    mien_preset_unref(&p);
    assert_string_equal(mien_preset_info(again)->name, "waves");
    mien_preset_unref(&again);
    for (size_t n = 0; n < n_a; n = n < 4000 ? n + 7 : n + 971) { /* cut anywhere */
        assert_true(mien_preset_parse(&p, a, n, "cut", keep) < 0);
        assert_null(p);
        assert_non_null(strstr(last_line, "cut"));
    }
    mien_free(a);
    mien_free(b);
}

/* Gram matrices of two pictures are averaged; of the same picture twice, the same. */
static void several_pictures(void **state)
{
    (void)state;
    MienPreset *b = make("b", 1, 1, NULL), *both = make("both", 0, 2, NULL);
    assert_int_equal(mien_preset_info(both)->n_pictures, 2);
    for (int i = 0; i < 4; i++) {
        const float *x = mien_preset_gram(preset, i, 1), *y = mien_preset_gram(b, i, 1), *z = mien_preset_gram(both, i, 1);
        int c = mien_preset_layer(b, i)->channels;
        for (int k = 0; k < c * c; k++)
            assert_true(fabsf(0.5f * (x[k] + y[k]) - z[k]) <= 1e-5f * (fabsf(z[k]) + 1e-3f));
    }
    mien_preset_unref(&b);
    mien_preset_unref(&both);
}

static void blends(void **state)
{
    (void)state;
    MienPresetMakeParams q = params_of("b");
    q.settings.strength = 200;
    q.n_scales = 2;
    q.artist = "Nobody";
    MienPreset *b = make("b", 1, 1, &q), *mix, *list[] = { preset, b };
    double weight[] = { 6, 2 };
    assert_int_equal(mien_preset_blend(&mix, list, weight, 2, "mix", keep), 0);
    const MienPresetInfo *i = mien_preset_info(mix);
    assert_string_equal(i->title, "waves:0.75 b:0.25");
    assert_string_equal(i->artist, "Nobody");
    assert_int_equal(i->n_scales, 2);
    assert_true(fabs(i->settings.strength - 125) < 1e-9);
    const float *x = mien_preset_gram(preset, 3, 1), *y = mien_preset_gram(b, 3, 1), *z = mien_preset_gram(mix, 3, 1);
    for (int k = 0; k < 36; k++)
        assert_true(fabsf(0.75f * x[k] + 0.25f * y[k] - z[k]) <= 1e-5f * (fabsf(z[k]) + 1e-3f));
    mien_preset_unref(&mix);
    double bad[] = { 0, 0 }, worse[] = { 1, NAN };
    assert_int_equal(mien_preset_blend(&mix, list, bad, 2, "mix", keep), MIEN_ERR(EINVAL));
    assert_int_equal(mien_preset_blend(&mix, list, worse, 2, "mix", keep), MIEN_ERR(EINVAL));
    assert_int_equal(mien_preset_blend(&mix, list, weight, 2, "no good/name", keep), MIEN_ERR(EINVAL));
    MienPresetLayer layer = { "relu2_1", 0, 1 };
    q.layers = &layer;
    q.n_layers = 1;
    MienPreset *c = make("c", 1, 1, &q);
    list[1] = c;
    assert_int_equal(mien_preset_blend(&mix, list, weight, 2, "mix", keep), MIEN_E_MISMATCH);
    assert_non_null(strstr(last_line, "waves and b have different layers"));
    mien_preset_unref(&b);
    mien_preset_unref(&c);
}

static void make_refuses(void **state)
{
    (void)state;
    MienPreset *p;
    MienPresetMakeParams q = params_of("x");
    MienPresetLayer layer = { "relu7_1", 0, 1 };
    q.layers = &layer;
    q.n_layers = 1;
    assert_int_equal(mien_preset_make(&p, model, picture, 1, &q), MIEN_E_NOTFOUND);
    assert_non_null(strstr(last_line, "no layer relu7_1"));
    q = params_of("x y");
    assert_int_equal(mien_preset_make(&p, model, picture, 1, &q), MIEN_ERR(EINVAL));
    assert_non_null(strstr(last_line, "\"x y\""));
    q = params_of("x");
    q.settings.size_px = 40; /* half of it would be 20x15 */
    assert_int_equal(mien_preset_make(&p, model, picture, 1, &q), MIEN_ERR(EINVAL));
    assert_non_null(strstr(last_line, "20x15"));
    q = params_of("x");
    snprintf(q.settings.content_layer, sizeof(q.settings.content_layer), "relu8_8");
    assert_int_equal(mien_preset_make(&p, model, picture, 1, &q), MIEN_E_NOTFOUND);
    q = params_of("x");
    q.settings.strength = NAN;
    assert_int_equal(mien_preset_make(&p, model, picture, 1, &q), MIEN_E_FORMAT);
    q = params_of("x");
    assert_int_equal(mien_preset_make(&p, model, picture, 0, &q), MIEN_ERR(EINVAL));
    MienImage none = { 0 };
    assert_int_equal(mien_preset_make(&p, model, &none, 1, &q), MIEN_ERR(EINVAL));
    assert_null(p);
}

/* ---- files that are wrong in one place */

typedef struct Edit {
    const char *from, *to; /* in the JSON of mien.preset; NULL: nothing */
    const char *words;     /* of the message */
} Edit;

static uint8_t *edited(const Edit *e, const char *tensor, size_t at, float value, int drop, size_t *bytes)
{
    uint8_t *data, *packed;
    size_t n;
    MienWeights *w;
    MienTensor t[64];
    MienMeta meta[8];
    char *json = NULL;
    float *copy = NULL;
    assert_int_equal(mien_preset_pack(preset, &data, &n, keep), 0);
    assert_int_equal(mien_weights_parse(&w, data, n, "p", keep), 0);
    size_t n_t = 0, n_m = 0;
    for (size_t i = 0; i < mien_weights_count(w); i++) {
        t[n_t] = *mien_weights_get(w, i);
        if (tensor && !strcmp(t[n_t].name, tensor)) {
            if (drop)
                continue;
            copy = malloc(t[n_t].bytes);
            memcpy(copy, t[n_t].data, t[n_t].bytes);
            copy[at] = value;
            t[n_t].data = copy;
        }
        n_t++;
    }
    for (; mien_weights_meta_at(w, n_m, &meta[n_m].key, &meta[n_m].value) == 0; n_m++) {
        const char *place = e && e->from ? strstr(meta[n_m].value, e->from) : NULL;
        if (place) {
            size_t room = strlen(meta[n_m].value) + strlen(e->to) + 1;
            json = malloc(room);
            snprintf(json, room, "%.*s%s%s", (int)(place - meta[n_m].value), meta[n_m].value, e->to, place + strlen(e->from));
            meta[n_m].value = json;
        }
    }
    if (e && e->from)
        assert_non_null(json);
    assert_int_equal(mien_weights_pack(&packed, bytes, t, n_t, meta, n_m, keep), 0);
    free(json);
    free(copy);
    mien_weights_close(&w);
    mien_free(data);
    return packed;
}

static void refused(uint8_t *packed, size_t bytes, const char *words)
{
    MienPreset *p;
    assert_true(mien_preset_parse(&p, packed, bytes, "bad.safetensors", keep) < 0);
    assert_null(p);
    if (!strstr(last_line, words) || !strstr(last_line, "bad.safetensors"))
        fail_msg("\"%s\" lacks \"%s\"", last_line, words);
    mien_free(packed);
}

static void damaged_files(void **state)
{
    (void)state;
    static const Edit edits[] = {
        { "\"strength\":100", "\"strenght\":100", "settings has an unknown key \"strenght\"" },
        { "\"strength\":100", "\"strength\":-1", "the setting strength is missing or out of range" },
        { "\"strength\":100,", "", "the setting strength is missing" },
        { "\"tv\":6", "\"tv\":1e99", "the setting tv" },
        { "\"iterations\":60", "\"iterations\":2.5", "the setting iterations" },
        { "\"size_px\":160", "\"size_px\":4", "the setting size_px" },
        { "\"scales\":[1,2,4]", "\"scales\":[1,4,2]", "scales should be 1 and then rising" },
        { "\"scales\":[1,2,4]", "\"scales\":[]", "scales is no list" },
        { "\"scales\":[1,2,4]", "\"scales\":[1,2]", "tensors, of which" },
        { "\"scales\":[1,2,4]", "\"scales\":[1,2,8]", "mean.8.relu1_1" },
        { "\"weight\":1", "\"weight\":-1", "layer relu1_1: its weight" },
        { "\"name\":\"relu2_1\"", "\"name\":\"relu1_1\"", "" },
        { "\"pictures\":1", "\"pictures\":0", "the number of pictures" },
        { "\"sha256\":\"", "\"sha256\":\"x", "network lacks a name or a SHA-256" },
        { "\"trace\":", "\"trace\":-", "trace is missing or out of range" },
        { "\"title\":", "\"title\":\"a\",\"title\":", "the key title stands twice" },
        { "{\"title\"", "[\"title\"", "the metadata mien.preset is missing or no JSON object" },
    };
    size_t n;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(edits); i++) {
        uint8_t *p = edited(&edits[i], NULL, 0, 0, 0, &n);
        refused(p, n, edits[i].words);
    }
    uint8_t *p = edited(NULL, "gram.2.relu3_1", 3, NAN, 0, &n);
    refused(p, n, "gram.2.relu3_1 has a number that is NaN or infinite");
    p = edited(NULL, "gram.2.relu3_1", 0, -1, 0, &n);
    refused(p, n, "gram.2.relu3_1 is no Gram matrix");
    p = edited(NULL, "gram.1.relu1_1", 1, 1e9f, 0, &n);
    refused(p, n, "gram.1.relu1_1 is no Gram matrix");
    p = edited(NULL, "mean.1.relu1_1", 1, 1e9f, 0, &n);
    refused(p, n, "gram.1.relu1_1 is no Gram matrix");
    p = edited(NULL, "gram.4.relu4_1", 0, 0, 1, &n);
    refused(p, n, "there is no tensor gram.4.relu4_1");
    MienPreset *q;
    assert_int_equal(mien_preset_open(&q, "core/models/stylenet.safetensors", keep), MIEN_E_FORMAT);
    assert_non_null(strstr(last_line, "is no preset but a network, for features"));
    assert_int_equal(mien_preset_open(&q, "tests/data/parity-stylenet.safetensors", keep), MIEN_E_FORMAT);
    assert_non_null(strstr(last_line, "is no preset"));
    assert_int_equal(mien_preset_open(&q, "no/such/file", keep), MIEN_ERR(ENOENT));
}

static void finding(void **state)
{
    (void)state;
    char a[256], b[256], both[600], path[300];
    const char *tmp = getenv("TMPDIR");
    snprintf(a, sizeof(a), "%s/mien-preset-XXXXXX", tmp ? tmp : "/tmp");
    memcpy(b, a, sizeof(a));
    assert_non_null(mkdtemp(a));
    assert_non_null(mkdtemp(b));
    snprintf(both, sizeof(both), "%s::%s:", a, b);
    snprintf(path, sizeof(path), "%s/waves.safetensors", a);
    assert_int_equal(mien_preset_write(preset, path, keep), 0);
    snprintf(path, sizeof(path), "%s/waves.safetensors", b);
    assert_int_equal(mien_preset_write(preset, path, keep), 0);
    snprintf(path, sizeof(path), "%s/ancient.safetensors", b);
    assert_int_equal(mien_preset_write(preset, path, keep), 0);
    char **list, *found;
    assert_int_equal(mien_preset_list(&list, both, keep), 2);
    assert_string_equal(list[0], path);
    assert_non_null(strstr(list[1], a));
    assert_null(list[2]);
    mien_free(list);
    assert_int_equal(mien_preset_list(&list, "/nowhere/at/all", keep), 0);
    assert_null(list[0]);
    mien_free(list);
    assert_int_equal(mien_preset_find(&found, "ancient", both, keep), 0);
    assert_string_equal(found, path);
    mien_free(found);
    setenv("MIEN_PRESETS", b, 1);
    assert_int_equal(mien_preset_find(&found, "waves", NULL, keep), 0);
    assert_non_null(strstr(found, b));
    mien_free(found);
    assert_int_equal(mien_preset_find(&found, "wavelet", NULL, keep), MIEN_E_NOTFOUND);
    assert_non_null(strstr(last_line, "did you mean waves?"));
    assert_int_equal(mien_preset_find(&found, "zzz", NULL, keep), MIEN_E_NOTFOUND);
    assert_non_null(strstr(last_line, "there is no preset zzz in"));
    assert_int_equal(mien_preset_find(&found, "..", NULL, keep), MIEN_E_NOTFOUND);
    MienPreset *p;
    assert_int_equal(mien_preset_open_named(&p, "ancient", NULL, keep), 0);
    MienModel *m;
    assert_int_equal(mien_preset_open_model(&m, p, b, keep), MIEN_E_NOTFOUND);
    mien_preset_unref(&p);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s.safetensors", i ? b : a, i == 1 ? "ancient" : "waves");
        unlink(path);
    }
    assert_int_equal(rmdir(a), 0);
    assert_int_equal(rmdir(b), 0);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    MienPresetMakeParams q = params_of("x");
    uint8_t *data;
    size_t bytes;
    q.n_scales = 1;
    assert_int_equal(mien_preset_pack(preset, &data, &bytes, keep), 0);
    uint64_t live = mien_mem_live_bytes();
    for (int what = 0; what < 3; what++) {
        int ret = -1;
        for (uint64_t n = 1; ret < 0; n++) {
            MienPreset *p = NULL, *list[] = { preset, preset };
            double weight[] = { 1, 2 };
            mien_mem_fail_at(n, (int)(n & 1));
            ret = what == 0   ? mien_preset_make(&p, model, picture, 1, &q)
                  : what == 1 ? mien_preset_parse(&p, data, bytes, "p", keep)
                              : mien_preset_blend(&p, list, weight, 2, "b", keep);
            mien_mem_fail_at(0, 0);
            if (ret < 0)
                assert_int_equal(ret, MIEN_ERR(ENOMEM));
            mien_preset_unref(&p);
            assert_int_equal(mien_mem_live_bytes(), live);
        }
    }
    mien_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gram_by_definition), cmocka_unit_test(facts),        cmocka_unit_test(there_and_back),
        cmocka_unit_test(several_pictures),   cmocka_unit_test(blends),       cmocka_unit_test(make_refuses),
        cmocka_unit_test(damaged_files),      cmocka_unit_test(finding),      cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
