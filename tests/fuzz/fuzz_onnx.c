/* Fuzz: any bytes as an ONNX file. What imports must be a model that loads, and the same bytes the second time. */
#include <stdlib.h>
#include <string.h>

#include "models/import_int.h"
#include "nn/nn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const MienImportParams params[] = {
        { .role = "features" },
        { .role = "features", .free_size = 1, .outputs = "scores,462" },
        { .role = "face-encoder", .softmax = 1 },
    };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(params); i++) {
        uint8_t *packed, *again;
        size_t n, n_again;
        MienModel *model;
        if (mieni_import_onnx_bytes(data, bytes, "fuzz", &params[i], &packed, &n, (MienLog){ 0 }) < 0)
            continue;
        if (mieni_model_parse(&model, packed, n, "fuzz", (MienLog){ 0 }) < 0)
            abort();
        mien_model_unref(&model);
        if (mieni_import_onnx_bytes(data, bytes, "fuzz", &params[i], &again, &n_again, (MienLog){ 0 }) < 0 || n != n_again ||
            memcmp(packed, again, n))
            abort();
        mien_free(packed);
        mien_free(again);
    }
    return 0;
}
