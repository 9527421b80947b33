/* embed.c — an aligned face through the encoder; the result has length 1. */
#include <math.h>
#include <string.h>

#include "face/face_int.h"
#include "mien/error.h"

int mien_face_embed(MienFaceEngine *engine, const MienImage *img, const MienFace *faces, int n_faces, float *embedding)
{
    MieniFaceNet *fn = &engine->encoder;
    if (!fn->model)
        return mien_fail(engine->log, MIEN_ERR(EINVAL), "embedding: the engine was made without an encoder");
    int ret = mien_image_check(img);
    if (ret < 0)
        return mien_fail(engine->log, ret, "embedding: not a picture");
    int dim = engine->encoder_dim;
    for (int i = 0; i < n_faces; i++, embedding += dim) {
        float m[6];
        if (!faces[i].has_landmarks || mieni_align_map(faces[i].point_px, engine->encoder_template, m) < 0)
            return mien_fail(engine->log, MIEN_ERR(EINVAL), "embedding: face %d has no usable landmarks", i);
        double t0 = mieni_now_ms();
        mieni_image_warp(img, m, 0, 16, &fn->input, mien_net_input(fn->net, NULL), fn->w_px, fn->h_px);
        mieni_time_add(engine, MIENI_TIME_ALIGN, t0, 1);
        t0 = mieni_now_ms();
        ret = mien_net_run(fn->net);
        mieni_time_add(engine, MIENI_TIME_ENCODE, t0, 1);
        if (ret < 0)
            return ret;
        const float *out = mien_net_output(fn->net, 0, NULL);
        double norm = 0;
        for (int k = 0; k < dim; k++)
            norm += (double)out[k] * out[k];
        norm = sqrt(norm);
        if (!(norm > 0) || !isfinite(norm))
            return mien_fail(engine->log, MIEN_E_MODEL, "%s: the encoder gave an embedding of length %g",
                             mien_model_path(fn->model), norm);
        for (int k = 0; k < dim; k++)
            embedding[k] = (float)(out[k] / norm);
    }
    return 0;
}
