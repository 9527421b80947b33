/* mien verify: are two faces the same person's, or is a face the person it is claimed to be (1:1)? */
#include <string.h>

#include "faces.h"

typedef struct VerifyOptions {
    const char *claim;
    int face, face_a, largest, similarity;
    double threshold;
} VerifyOptions;

/* Reads a picture and chooses its face; the chosen index, or -1 after a message. */
static int read_one(const Tool *tool, Faces *f, const char *path, int face, int largest, Picture *p)
{
    picture_read(f, 0, path, 1, p);
    if (p->err < 0) {
        tool_error(tool, "%s", safe(p->message));
        return -1;
    }
    int i = face_choose(p, face, largest);
    if (i < 0)
        face_refusal(tool, p, i, face);
    if (i == MIEN_E_AMBIGUOUS)
        fprintf(stderr, "  Choose by --face N (--face-a N for the first of two pictures), or --largest.\n");
    return i < 0 ? -1 : i;
}

static void picture_json(struct cJSON *j, const char *key, const Picture *p, int i)
{
    struct cJSON *o = json_add_object(j, key);
    json_str(o, "file", p->path);
    if (o)
        face_json(o, &p->faces[i], i + 1);
}

/* The answer and its numbers. */
static int answer(const Tool *tool, struct cJSON *j, const Judge *judge, float sim_cos, float logit_same)
{
    int match = judge_same(judge, sim_cos, logit_same), learnt = judge->kind != MIEN_SIMILARITY_DISTANCE;
    double distance = dist_of_cos((double)sim_cos);
    json_real(j, "distance", distance, 6);
    if (learnt)
        json_real(j, "probability", mien_similarity_prob((double)logit_same), 6);
    judge_json(j, judge);
    json_real(j, "similarity", cos_of_dist(distance), 6);
    json_bool(j, "match", match);
    if (j)
        return json_print(tool, j, match ? STATUS_OK : STATUS_NO);
    if (learnt)
        printf("%s: probability %.4f, threshold %.4f; distance %.4f\n", match ? "match" : "no match",
               mien_similarity_prob((double)logit_same), judge->threshold, distance);
    else
        printf("%s: distance %.4f, threshold %.4f\n", match ? "match" : "no match", distance, judge->threshold);
    return match ? STATUS_OK : STATUS_NO;
}

static int open_judge(Judge *judge, const Tool *tool, const VerifyOptions *o, MienGallery *g, const Faces *f)
{
    return judge_open(judge, tool, g, o->similarity, 1, o->threshold, f->engine[0]);
}

/* What was learnt for two pictures lies in a gallery, too, though nobody in it is asked about. */
static int open_for_pictures(const Tool *tool, const VerifyOptions *o, MienGallery **g, Faces *f, Judge *judge, MienGallerySimilarity *learnt)
{
    char buf[128];
    const char *encoder = NULL;
    if (o->similarity && (!(*g = gallery_open(tool, MIEN_GALLERY_READ)) || gallery_encoder(tool, *g, buf, sizeof(buf), &encoder) < 0))
        return -1;
    if (faces_open(f, tool, encoder, 1, 1) < 0 || (*g && gallery_fits(tool, *g, f) < 0) || open_judge(judge, tool, o, *g, f) < 0)
        return -1;
    return *g ? mien_gallery_similarity(*g, judge->kind, learnt) : 0;
}

static int verify_pictures(const Tool *tool, const VerifyOptions *o, char **args)
{
    Faces f = { 0 };
    Picture a = { 0 }, b = { 0 };
    MienGallery *g = NULL;
    MienGallerySimilarity learnt;
    Judge judge;
    int status = STATUS_ERROR, i, k;
    if (open_for_pictures(tool, o, &g, &f, &judge, &learnt) >= 0 &&
        (i = read_one(tool, &f, args[0], o->face_a, o->largest, &a)) >= 0 && (k = read_one(tool, &f, args[1], o->face, o->largest, &b)) >= 0) {
        struct cJSON *j = tool->json ? json_object() : NULL;
        picture_json(j, "a", &a, i);
        picture_json(j, "b", &b, k);
        json_str(j, "encoder", mien_face_encoder_name(f.engine[0]));
        const float *u = a.embedding + (size_t)i * (size_t)f.dim, *v = b.embedding + (size_t)k * (size_t)f.dim;
        float logit = judge.kind != MIEN_SIMILARITY_DISTANCE ? (float)mien_similarity_logit(&learnt.unit, u, v) : NAN;
        status = answer(tool, j, &judge, mien_sim_cos(u, v, f.dim), logit);
    }
    mien_gallery_close(&g);
    picture_free(&a);
    picture_free(&b);
    faces_close(&f);
    return status;
}

static int verify_claim(const Tool *tool, const VerifyOptions *o, const char *path)
{
    Faces f = { 0 };
    Picture p = { 0 };
    MienPerson person;
    MienMatch match;
    Judge judge;
    char buf[128];
    const char *encoder;
    int status = STATUS_ERROR, i;
    MienGallery *g = gallery_open(tool, MIEN_GALLERY_READ);
    if (!g || person_need(tool, g, o->claim, &person) < 0 || gallery_encoder(tool, g, buf, sizeof(buf), &encoder) < 0 ||
        faces_open(&f, tool, encoder, 1, 1) < 0 || gallery_fits(tool, g, &f) < 0 || open_judge(&judge, tool, o, g, &f) < 0)
        goto out;
    if (person.expired || !person.n_samples) {
        tool_error(tool, "'%s' cannot be verified: %s", safe(o->claim), person.expired ? "the entry has expired" : "there is no sample");
        goto out;
    }
    if ((i = read_one(tool, &f, path, o->face, o->largest, &p)) < 0 ||
        mien_gallery_search(g, p.embedding + (size_t)i * (size_t)f.dim, f.dim, o->claim, &match) < 0)
        goto out;
    if (match.id < 0) {
        tool_error(tool, "'%s' has no usable sample; see 'mien check'", safe(o->claim));
        goto out;
    }
    struct cJSON *j = tool->json ? json_object() : NULL;
    json_str(j, "claim", o->claim);
    picture_json(j, "picture", &p, i);
    json_str(j, "encoder", mien_face_encoder_name(f.engine[0]));
    status = answer(tool, j, &judge, match.sim_cos, match.logit_same);
out:
    picture_free(&p);
    faces_close(&f);
    mien_gallery_close(&g);
    return status;
}

static int run_verify(Tool *tool, const void *options, int n_args, char **args)
{
    const VerifyOptions *o = options;
    if (o->claim && n_args != 1)
        return tool_error(tool, "--claim compares one picture with the gallery; %d were given", n_args);
    if (!o->claim && n_args != 2)
        return tool_error(tool, "give two pictures, or --claim NAME and one");
    if (o->claim && o->face_a)
        return tool_error(tool, "--face-a is for two pictures; with --claim say --face");
    return o->claim ? verify_claim(tool, o, args[0]) : verify_pictures(tool, o, args);
}

static const Option verify_options[] = {
    OPT_TEXT_ROW(VerifyOptions, claim, "claim", 'c', "NAME", NULL, "compare with this person of the gallery; the nearest sample counts"),
    OPT_INT_ROW(VerifyOptions, face, "face", 'f', 0, 1, FACES_MAX, NULL, "the only one", "which face of the (second) picture, from left to right"),
    OPT_INT_ROW(VerifyOptions, face_a, "face-a", 0, 0, 1, FACES_MAX, NULL, "the only one", "which face of the first of two pictures"),
    OPT_FLAG_ROW(VerifyOptions, largest, "largest", 'l', "of several faces take the largest"),
    OPT_REAL_ROW(VerifyOptions, threshold, "threshold", 'd', 0, 0.0001, 2, NULL, "the gallery's calibration, else the encoder's own",
                 "largest distance, or with a learnt similarity least probability, that is a match"),
    OPT_WORD_ROW(VerifyOptions, similarity, "similarity", 0, MIEN_SIMILARITY_DISTANCE, SIMILARITY_WORDS, SIMILARITY_HELP),
    { .name = NULL },
};

const Command cmd_verify = {
    .name = "verify", .group = "Questions", .summary = "are these the same person (1:1)?", .args = "PICTURE PICTURE | --claim NAME PICTURE",
    .text = "Prints match or no match, the distance of the two faces (0 to 2) and the threshold. A picture with several faces is refused with their "
            "numbered list unless --face or --largest says which one is meant.\n"
            "$ mien verify passport.jpg selfie.jpg\n"
            "$ mien verify --claim \"Ada Lovelace\" door.jpg && open-door",
    .statuses = "0 match; 1 no match; 2 no answer: a file cannot be read, no face or several, nobody of that name.",
    .options = verify_options, .options_bytes = sizeof(VerifyOptions), .takes = TAKES_GALLERY | TAKES_FACES | TAKES_JSON,
    .min_args = 1, .max_args = 2, .run = run_verify,
};
