/* Uses a gallery of unknown condition in every way a program would, reading first, then writing. Nothing may crash, hang or
 * return a code that is not documented; every line of the log is a whole sentence about the file. */
#ifndef TESTS_GALLERY_EXERCISE_H
#define TESTS_GALLERY_EXERCISE_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mien/error.h"
#include "mien/gallery.h"

static inline void ignore_line(void *priv, const char *text)
{
    *(size_t *)priv += text[0] != '\0';
}

static inline void must(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "broken promise: %s\n", what);
        abort();
    }
}

/* 0, a count, or one of the codes that a damaged file may give. */
static inline int documented(int ret)
{
    return ret >= 0 || ret == MIEN_E_FORMAT || ret == MIEN_E_CORRUPT || ret == MIEN_E_VERSION || ret == MIEN_E_NOTFOUND ||
           ret == MIEN_E_MISMATCH || ret == MIEN_E_EXISTS || ret == MIEN_E_BUSY || ret == MIEN_ERR(EIO) ||
           ret == MIEN_ERR(ENOMEM) || ret == MIEN_ERR(EINVAL) || ret == MIEN_ERR(EFBIG) || ret == MIEN_ERR(ENOSPC) ||
           ret == MIEN_ERR(EROFS) || ret == MIEN_ERR(EACCES); /* a header may say "read only" */
}

static inline void exercise_reading(MienGallery *g, int dim, const char *scratch)
{
    float probe[MIEN_FACE_MAX_DIM] = { 0.6f, 0.8f };
    MienGalleryModel model;
    MienGalleryStats stats;
    MienMatch match;
    MienCalibration calibration;
    float *templates;
    int64_t *whose, n_now;
    int own_dim;
    MienCandidate candidate[5];
    MienPerson *people, person;
    MienSample *samples;
    MienGallerySimilarity learnt;
    size_t n_lines = 0;
    must(documented(mien_gallery_model(g, &model)), "model");
    must(documented(mien_gallery_stats(g, &stats)), "stats");
    must(documented(mien_gallery_search(g, probe, dim, NULL, &match)), "search");
    must(documented(mien_gallery_search(g, probe, dim, "Ann Early", &match)), "claim");
    must(documented(mien_gallery_top(g, probe, dim, candidate, 5)), "top");
    for (int kind = MIEN_SIMILARITY_CHI2; kind >= MIEN_SIMILARITY_DISTANCE; kind--) {
        must(documented(mien_gallery_similarity(g, (MienSimilarityKind)kind, &learnt)), "similarity");
        must(documented(mien_gallery_use_similarity(g, (MienSimilarityKind)kind)), "use similarity");
        must(documented(mien_gallery_search(g, probe, dim, NULL, &match)), "search by similarity");
    }
    int n = mien_gallery_people(g, &people);
    must(documented(n), "people");
    for (int i = 0; i < n && i < 50; i++) {
        must(mien_name_check(people[i].name, NULL) == 0, "a listed name is a name");
        must(documented(mien_gallery_find(g, people[i].name, &person)), "find");
        int n_samples = mien_gallery_samples(g, people[i].id, &samples);
        must(documented(n_samples), "samples");
        for (int k = 0; k < n_samples && k < 50; k++)
            must(documented(mien_gallery_embedding(g, samples[k].id, probe, dim)), "embedding");
        if (n_samples >= 0)
            mien_free(samples);
    }
    if (n >= 0)
        mien_free(people);
    must(documented(mien_gallery_calibration(g, &calibration, &n_now)), "calibration");
    must(documented(mien_gallery_templates(g, &templates, &whose, &own_dim)), "templates");
    mien_free(templates);
    mien_free(whose);
    MienStranger *strangers;
    if (documented(mien_gallery_strangers(g, &strangers)))
        mien_free(strangers);
    else
        must(0, "strangers");
    must(documented(mien_gallery_check(g, ignore_line, &n_lines)), "check");
    must(documented(mien_gallery_export(g, scratch)), "export");
    unlink(scratch);
    must(documented(mien_gallery_backup(g, scratch)), "backup");
    unlink(scratch);
    mien_gallery_changed(g);
}

static inline void exercise_writing(MienGallery *g, int dim)
{
    float v[MIEN_FACE_MAX_DIM] = { 0, 0.6f, -0.8f };
    MienSample sample = { .quality = 0.5f };
    MienErasure erasure;
    MienCalibration calibration = { .fpir = 0.01, .threshold_sim_cos = 0.5, .margin_sim_cos = 0.05, .verify_sim_cos = 0.4 };
    MienGallerySimilarity learnt = { .unit = { .kind = MIEN_SIMILARITY_CHI2, .dim = dim, .w = { -1, -2 }, .b = 3 } };
    must(documented(mien_gallery_add(g, "Somebody New", v, dim, &sample)), "add");
    must(documented(mien_gallery_set_similarity(g, &learnt)), "set similarity");
    must(documented(mien_gallery_rename(g, "Ann Early", "Ann Late")), "rename");
    must(documented(mien_gallery_merge(g, "Somebody New", "Ann Late")), "merge");
    must(documented(mien_gallery_set_ignored(g, "Ann Late", 1)), "ignore");
    must(documented(mien_gallery_set_notes(g, "Ann Late", "a", "2090-01-01", "b")), "notes");
    must(documented(mien_gallery_forget(g, "Ann Late", &erasure)), "forget");
    must(documented(mien_gallery_put_calibration(g, &calibration)), "put calibration");
    MienSighting sighting;
    must(documented(mien_gallery_stranger_see(g, v, dim, 0.5f, 0.46f, &sighting)), "see");
    must(documented(mien_gallery_stranger_assign(g, 1, "Ann Again")), "assign");
    must(documented(mien_gallery_forget_stranger(g, 1, &erasure)), "forget a stranger");
    must(documented(mien_gallery_compact(g)), "compact");
}

/* path is a file that may be anything; scratch may be written and is gone afterwards. */
static inline void exercise_gallery(const char *path, const char *scratch, int dim)
{
    MienGallery *g;
    int ret = mien_gallery_open(&g, path, MIEN_GALLERY_READ, (MienLog){ 0 });
    must(documented(ret) && (ret == 0) == (g != NULL), "open for reading");
    if (g)
        exercise_reading(g, dim, scratch);
    mien_gallery_close(&g);
    ret = mien_gallery_open(&g, path, MIEN_GALLERY_WRITE, (MienLog){ 0 });
    must(documented(ret) && (ret == 0) == (g != NULL), "open for writing");
    if (g)
        exercise_writing(g, dim);
    mien_gallery_close(&g);
}

#endif
