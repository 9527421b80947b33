/* Small networks of VGG-19's shape with random weights, for the tests of the importer and of presets. Include after cmocka.h. */
#ifndef TESTS_VGG_UTIL_H
#define TESTS_VGG_UTIL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mien/error.h"
#include "mien/weights.h"
#include "models/import_int.h"
#include "nn/nn.h"

static char last_line[2048];

static inline void keep_line(void *priv, MienLogLevel level, const char *fmt, va_list ap)
{
    (void)priv, (void)level;
    vsnprintf(last_line, sizeof(last_line), fmt, ap);
}

static const MienLog keep = { .write = keep_line };

static inline float vgg_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 16777216.0f - 0.5f;
}

#define VGG_MAX_TENSORS 40

/* Convolutions of VGG-19, the first n of them, all with few channels; tensors may be changed before packing. */
typedef struct VggFile {
    MienTensor t[VGG_MAX_TENSORS];
    char name[VGG_MAX_TENSORS][48];
    float data[VGG_MAX_TENSORS][9 * 8 * 8];
    size_t n;
} VggFile;

/* names: 0 "features.N", 1 "convB_M". Channels: 4 in the first block, then 6. */
static inline VggFile *vgg_file(int n_convs, int names)
{
    static const int block[] = { 2, 2, 4, 4, 4 };
    VggFile *f = calloc(1, sizeof(*f));
    uint32_t state = 7;
    int cin = 3, at = 0, done = 0;
    for (int b = 0; b < 5; b++, at++)
        for (int m = 0; m < block[b] && done < n_convs; m++, at += 2, done++) {
            int cout = b ? 6 : 4;
            char stem[32];
            snprintf(stem, sizeof(stem), names ? "conv%d_%d" : "features.%d", names ? b + 1 : at, m + 1);
            size_t n_weight = (size_t)(cout * cin * 9);
            for (int k = 0; k < 2; k++, f->n++) {
                size_t n = k ? (size_t)cout : n_weight;
                for (size_t i = 0; i < n; i++)
                    f->data[f->n][i] = vgg_random(&state) * (k ? 0.2f : 0.6f);
                snprintf(f->name[f->n], sizeof(f->name[f->n]), "%s.%s", stem, k ? "bias" : "weight");
                f->t[f->n] = (MienTensor){ .name = f->name[f->n], .dtype = MIEN_F32, .n_dims = k ? 1 : 4, .dim = { cout, cin, 3, 3 },
                                           .data = f->data[f->n], .bytes = n * sizeof(float) };
            }
            cin = cout;
        }
    return f;
}

static inline int vgg_import(const VggFile *f, const MienImportParams *params, uint8_t **packed, size_t *bytes)
{
    uint8_t *data;
    size_t n;
    assert_int_equal(mien_weights_pack(&data, &n, f->t, f->n, NULL, 0, keep), 0);
    int ret = mieni_import_vgg_bytes(data, n, "vgg.safetensors", params, packed, bytes, keep);
    mien_free(data);
    return ret;
}

/* The imported network of these convolutions; frees f. */
static inline MienModel *vgg_model(VggFile *f, const MienImportParams *params)
{
    uint8_t *packed;
    size_t bytes;
    MienModel *model;
    int ret = vgg_import(f, params, &packed, &bytes);
    if (ret < 0)
        fail_msg("%s", last_line);
    assert_int_equal(mieni_model_parse(&model, packed, bytes, "vgg", keep), 0);
    mien_free(packed);
    free(f);
    return model;
}

#endif
