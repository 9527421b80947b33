/* embed.c — an aligned face through the encoder; the result has length 1. */
#include <math.h>
#include <string.h>

#include "face/face_int.h"
#include "mien/error.h"
#include "mien/train.h"

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

MienModel *mien_face_encoder_model(const MienFaceEngine *engine)
{
    return engine->encoder.model;
}

int mien_face_input_px(const MienFaceEngine *engine)
{
    return engine->encoder.w_px;
}

int mien_face_chip(MienFaceEngine *engine, const MienImage *img, const MienFace *face, uint8_t *rgb8)
{
    static const MieniInput plain = { 3, 0, { 0, 0, 0 }, { 1, 1, 1 } };
    int size_px = engine->encoder.w_px, chip_px = MIEN_TRAIN_CHIP_PX(size_px), more_px = (chip_px - size_px) / 2;
    size_t n = (size_t)chip_px * (size_t)chip_px * 3;
    float m[6];
    int ret = mien_image_check(img);
    if (ret < 0 || !engine->encoder.model || !face->has_landmarks || mieni_align_map(face->point_px, engine->encoder_template, m) < 0)
        return mien_fail(engine->log, MIEN_ERR(EINVAL), "a face to be cut out wants a picture, landmarks and an encoder");
    float *f = mien_malloc_array(n, sizeof(float));
    if (!f)
        return mien_fail(engine->log, MIEN_ERR(ENOMEM), "out of memory for a face");
    m[2] -= (m[0] + m[1]) * (float)more_px; /* the template's corner lies inside the chip */
    m[5] -= (m[3] + m[4]) * (float)more_px;
    mieni_image_warp(img, m, 0, 16, &plain, f, chip_px, chip_px);
    for (size_t i = 0; i < n; i++)
        rgb8[i] = (uint8_t)lrintf(fminf(fmaxf(f[i], 0), 255));
    mien_free(f);
    return 0;
}
