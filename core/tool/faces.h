/* faces.h — from files to faces: engines for the workers, pictures read and analysed, one face chosen among several. */
#ifndef MIEN_TOOL_FACES_H
#define MIEN_TOOL_FACES_H

#include "galleries.h"
#include "mien/face.h"

#define FACES_MAX 256 /* in one picture */

/* One engine per worker. */
typedef struct Faces {
    MienFaceEngine *engine[256];
    MienLog engine_log;
    struct MienPool *pool; /* with one worker the threads work inside the networks */
    int n_workers, dim;
} Faces;

/* Loads the networks for `n_items` pictures on --threads threads. encoder: NULL takes the tool's. Returns 0, or negative after a
 * message. */
int faces_open(Faces *f, const Tool *tool, const char *encoder, int with_encoder, int64_t n_items);
void faces_close(Faces *f);

/* What one picture gave. */
typedef struct Picture {
    const char *path; /* borrowed */
    int err;          /* 0, or why it could not be read */
    char message[1024]; /* the sentence that goes with err */
    int w_px, h_px;
    char sha256[65];
    int n_faces;
    MienFace *faces;  /* from left to right: face N of --face is faces[N - 1] */
    char *sure;       /* per face: it is one beyond doubt */
    float *embedding; /* n_faces × dim, or NULL */
} Picture;

/* Reads and analyses a picture on worker's engine. Never logs: err and message say what was wrong. */
void picture_read(Faces *f, int worker, const char *path, int with_embedding, Picture *picture);
void picture_free(Picture *p);

/* Reads all pictures of a list side by side and hands them to take in order; the picture is freed afterwards. A result of take
 * other than 0 ends it. Shows progress. Returns 0, take's result, or negative after a message. */
struct FileList;
int pictures_each(Faces *f, const Tool *tool, const struct FileList *files, int with_embedding,
                  int (*take)(void *priv, const Picture *p), void *priv);

/* Everything that can be found in a picture, from left to right; sure[i] is 1 where it is a face beyond doubt (FACES_MAX of both).
 * Returns how many, or negative. */
int faces_analyse(MienFaceEngine *engine, const MienImage *img, MienFace *faces, char *sure);

/* The face that a picture is of: the largest sure one, unless another sure one has at least a quarter of its area; without a sure
 * one, the only one. Its index, MIEN_E_NOFACE or MIEN_E_AMBIGUOUS. */
int face_only(const MienFace *faces, const char *sure, int n);

/* Which face of a picture is meant. face: 1.. as on the command line, 0: none named; largest: take the
 * largest; else the rule of face_only.
 * Returns its index, or MIEN_E_NOFACE, MIEN_E_AMBIGUOUS, MIEN_E_NOTFOUND (no face with this number). No message. */
int face_choose(const Picture *p, int face, int largest);

/* The sentence for a refused choice, and for several faces their list, on stderr. */
void face_refusal(const Tool *tool, const Picture *p, int why, int face);
/* "2: 120x140 px at 40,30, eyes 52 px apart, sharpness 120, quality 0.70" */
void face_text(char *buf, size_t bytes, const MienFace *f, int number);
void face_json(struct cJSON *to, const MienFace *f, int number);

/* Writes the picture with numbered boxes; 0 or negative after a message. */
int faces_preview(const Tool *tool, const Picture *p, const char *out_path);

/* The encoder to load for a gallery: --encoder, else the one that the gallery belongs to, else the default (NULL). buf is
 * used for the answer. Negative after a message. */
int gallery_encoder(const Tool *tool, MienGallery *g, char *buf, size_t bytes, const char **encoder);
/* 0 if the gallery belongs to this engine's encoder or to none; else negative after a message. */
int gallery_fits(const Tool *tool, MienGallery *g, const Faces *f);

#endif
