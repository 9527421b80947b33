/* train_pairs.h — pairs of embeddings to learn a similarity from, and others to measure it on: no person is in both. */
#ifndef MIEN_TOOL_TRAIN_PAIRS_H
#define MIEN_TOOL_TRAIN_PAIRS_H

#include "mien/gallery.h"
#include "mien/similarity.h"
#include "pairs.h"

/* Embeddings of known people. */
typedef struct People {
    int dim;
    size_t n, cap;    /* embeddings */
    float *embedding; /* n × dim */
    int64_t *person;  /* n; any numbers */
    char encoder[65]; /* hash, "" where the source does not say */
} People;

void people_free(People *p);
/* Every template of a gallery, but of people who have expired. 0, or negative after a message; so the next. */
int people_of_gallery(People *p, const Tool *tool, MienGallery *g);
/* A safetensors file with `embedding` [n,dim] f32 and `person` [n] i32 or i64, as `mien export` writes. Rows are brought to length 1. */
int people_of_file(People *p, const Tool *tool, const char *path);

/* Which of n_groups people are held out, of those with several members and of the others alike: part[i] 1, else 0. Negative after a message:
 * there are too few. */
int split_people(const size_t *members, size_t n_groups, double holdout, uint64_t seed, uint8_t *part, const Tool *tool);

typedef struct PairSet {
    MienPair *pair; /* embeddings are borrowed */
    size_t n, n_same;
} PairSet;

typedef struct TrainPairs {
    PairSet part[2];   /* to learn from, and held out */
    int64_t people[2]; /* of each part */
    int64_t n_dropped; /* pairs of a list between a person of one part and one of the other */
} TrainPairs;

/* All pairs of one person (50 a person at most) and all of two, but at most max_pairs of each kind and part, then a random choice. holdout: share of the
 * people that is held out. 0, or negative after a message, which for too few people says how many it takes. */
int train_pairs_of_people(TrainPairs *t, const Tool *tool, const People *p, double holdout, int64_t max_pairs, uint64_t seed);
/* The pairs of a list; embedding has a row per picture. Who is who follows from the list: pictures that are linked by pairs of the same
 * person are one person's. */
int train_pairs_of_list(TrainPairs *t, const Tool *tool, const PairList *list, const float *embedding, int dim, double holdout,
                        uint64_t seed);
void train_pairs_free(TrainPairs *t);

#endif
