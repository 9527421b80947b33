/* mien identify: who is it, or nobody we know (1:K)? Every face of every picture. */
#include <string.h>

#include "faces.h"
#include "files.h"
#include "mien/tagger.h"

typedef struct IdentifyOptions {
    double threshold;
    int top, explain, similarity;
} IdentifyOptions;

typedef struct Identify {
    const Tool *tool;
    const IdentifyOptions *o;
    MienGallery *g;
    Faces faces;
    Judge judge;
    struct cJSON *pictures;
    int n_unknown, n_errors;
} Identify;

#define TOP_MAX 100

static void print_face(const Judge *judge, const MienFace *face, int number, int sure, const char *name, const MienCandidate *c, int n)
{
    printf("  %sface %d, %.0fx%.0f px at %.0f,%.0f: %s", sure ? "" : "doubtful ", number, (double)(face->box_px.x1_px - face->box_px.x0_px),
           (double)(face->box_px.y1_px - face->box_px.y0_px), (double)face->box_px.x0_px, (double)face->box_px.y0_px,
           name ? safe(name) : "unrecognised");
    for (int i = 0; i < n; i++) {
        char text[32];
        judge_text(judge, text, c[i].sim_cos, c[i].logit_same);
        printf("%s%s %s%s", i ? ", " : "  (", safe(c[i].name), text, c[i].ignored ? " ignored" : "");
    }
    printf("%s\n", n > 0 ? ")" : "  (the gallery is empty)");
}

static MienReason reason_of(const Identify *s, const MienCandidate *c, int n)
{
    if (n <= 0)
        return MIEN_REASON_NOBODY;
    if (!judge_same(&s->judge, c[0].sim_cos, c[0].logit_same))
        return MIEN_REASON_BELOW;
    if (c[0].ignored)
        return MIEN_REASON_IGNORED;
    return n > 1 && !judge_ahead(&s->judge, c[0].sim_cos, c[1].sim_cos) ? MIEN_REASON_NOT_AHEAD : MIEN_REASON_NAMED;
}

static const char *source_text(const char *source)
{
    return !strcmp(source, "option")        ? "--threshold"
           : !strcmp(source, "calibration") ? "the gallery's calibration"
           : !strcmp(source, "encoder")     ? "the encoder's own for galleries"
                                            : "the default of what was learnt";
}

/* Why this name, or why none. One picture is one view: there is nothing to be gathered. */
static void explain(const Identify *s, struct cJSON *face_object, const MienFace *face, const MienCandidate *c, int n)
{
    const MienFaceEngine *engine = s->faces.engine[0];
    const Judge *judge = &s->judge;
    int learnt = judge->kind != MIEN_SIMILARITY_DISTANCE;
    double distance = n > 0 ? dist_of_cos((double)c[0].sim_cos) : NAN, next = n > 1 ? dist_of_cos((double)c[1].sim_cos) : NAN;
    MienReason reason = reason_of(s, c, n);
    const char *text = reason == MIEN_REASON_NAMED ? "the nearest person is within the threshold" : mien_reason_text(reason);
    double nats = n > 0 ? (double)mien_face_encoder_nats(engine, c[0].sim_cos) : NAN;
    double needed_nats = learnt ? NAN : (double)mien_face_encoder_nats(engine, (float)cos_of_dist(judge->threshold));
    struct cJSON *j = json_add_object(face_object, "explain");
    json_str(j, "reason", mien_reason_name(reason));
    json_str(j, "text", text);
    json_real(j, "threshold", judge->threshold, 6);
    json_str(j, "threshold_from", judge->chosen.source);
    json_real(j, "margin_similarity", judge->chosen.margin, 4);
    json_real(j, "lead", next - distance, 6);
    json_real(j, "evidence_nats", nats, 2);
    json_real(j, "needed_nats", needed_nats, 2);
    if (s->pictures)
        return;
    printf("    why: %s\n", text);
    if (n > 0)
        printf("    nearest: %s, distance %.4f; threshold %.4f (%s)\n", safe(c[0].name), distance, judge->threshold,
               source_text(judge->chosen.source));
    if (n > 0 && !learnt)
        printf("    evidence: e^%.1f times likelier if it is this person than if not; the threshold asks for e^%.1f\n", nats, needed_nats);
    if (n > 1)
        printf("    next: %s%s, distance %.4f, %.4f behind\n", safe(c[1].name), c[1].ignored ? " (ignored)" : "", next, next - distance);
    printf("    view: quality %.2f; eyes %.0f px apart, sharpness %.0f, turned %.0f°, raised %.0f°, certainty %.3f\n", (double)face->quality.total,
           (double)face->quality.eye_dist_px, (double)face->quality.sharpness, (double)face->quality.yaw_deg,
           (double)face->quality.pitch_deg, (double)face->prob);
}

/* counts: being unrecognised matters for the answer */
static int identify_face(Identify *s, struct cJSON *faces, const Picture *p, int i, int counts)
{
    const MienFace *face = &p->faces[i];
    const float *embedding = p->embedding + (size_t)i * (size_t)s->faces.dim;
    int number = i + 1;
    MienCandidate c[TOP_MAX];
    int most = s->o->top > 2 ? s->o->top : 2, n_known = mien_gallery_top(s->g, embedding, s->faces.dim, c, most);
    if (n_known < 0)
        return n_known;
    int n = n_known < s->o->top ? n_known : s->o->top;
    const char *name = reason_of(s, c, n_known) == MIEN_REASON_NAMED ? c[0].name : NULL;
    s->n_unknown += !name && counts;
    if (!s->pictures)
        print_face(&s->judge, face, number, p->sure[i], name, c, n);
    struct cJSON *j = json_item_object(faces);
    if (j)
        face_json(j, face, number);
    json_bool(j, "certain", p->sure[i]);
    json_str(j, "name", name);
    json_str(j, "status", name ? "known" : "unrecognised");
    json_real(j, "distance", n > 0 ? dist_of_cos((double)c[0].sim_cos) : NAN, 6);
    json_real(j, "runner_up_distance", n_known > 1 ? dist_of_cos((double)c[1].sim_cos) : NAN, 6);
    int learnt = s->judge.kind != MIEN_SIMILARITY_DISTANCE;
    if (learnt)
        json_real(j, "probability", n > 0 ? mien_similarity_prob((double)c[0].logit_same) : NAN, 6);
    struct cJSON *list = json_add_array(j, "candidates");
    for (int m = 0; m < n; m++) {
        struct cJSON *k = json_item_object(list);
        json_str(k, "name", c[m].name);
        json_int(k, "id", c[m].id);
        json_int(k, "sample", c[m].sample);
        json_real(k, "distance", dist_of_cos((double)c[m].sim_cos), 6);
        if (learnt)
            json_real(k, "probability", mien_similarity_prob((double)c[m].logit_same), 6);
        json_bool(k, "ignored", c[m].ignored);
    }
    if (s->o->explain)
        explain(s, j, face, c, n_known);
    return 0;
}

static int take(void *priv, const Picture *p)
{
    Identify *s = priv;
    struct cJSON *j = json_item_object(s->pictures);
    json_str(j, "file", p->path);
    if (p->err < 0) {
        s->n_errors++;
        json_str(j, "error", p->message);
        tool_error(s->tool, "%s", safe(p->message));
        return 0;
    }
    struct cJSON *faces = json_add_array(j, "faces");
    if (!s->pictures)
        printf("%s: %d face%s\n", safe(p->path), p->n_faces, p->n_faces == 1 ? "" : "s");
    s->n_unknown += !p->n_faces;
    int n_sure = 0;
    for (int i = 0; i < p->n_faces; i++)
        n_sure += p->sure[i];
    for (int i = 0; i < p->n_faces; i++) {
        int ret = identify_face(s, faces, p, i, p->sure[i] || !n_sure);
        if (ret < 0) {
            s->n_errors++;
            return 1; /* the gallery failed; it said why */
        }
    }
    return 0;
}

static int run_identify(Tool *tool, const void *options, int n_args, char **args)
{
    Identify s = { .tool = tool, .o = options };
    FileList files = { 0 };
    char buf[128];
    const char *encoder;
    int status = STATUS_ERROR;
    for (int i = 0; i < n_args; i++)
        if (files_add(&files, tool, args[i]) < 0)
            goto out;
    if (!(s.g = gallery_open(tool, MIEN_GALLERY_READ)) || gallery_encoder(tool, s.g, buf, sizeof(buf), &encoder) < 0 ||
        faces_open(&s.faces, tool, encoder, 1, files.n) < 0 || gallery_fits(tool, s.g, &s.faces) < 0 ||
        judge_open(&s.judge, tool, s.g, s.o->similarity, 0, s.o->threshold, s.faces.engine[0]) < 0)
        goto out;
    struct cJSON *root = tool->json ? json_object() : NULL;
    json_str(root, "gallery", mien_gallery_path(s.g));
    json_str(root, "encoder", mien_face_encoder_name(s.faces.engine[0]));
    judge_json(root, &s.judge);
    s.pictures = json_add_array(root, "pictures");
    int ret = pictures_each(&s.faces, tool, &files, 1, take, &s);
    status = ret || s.n_errors || interrupted() ? STATUS_ERROR : s.n_unknown ? STATUS_NO : STATUS_OK;
    if (root)
        status = json_print(tool, root, status);
out:
    files_free(&files);
    faces_close(&s.faces);
    mien_gallery_close(&s.g);
    return status;
}

static const Option identify_options[] = {
    OPT_REAL_ROW(IdentifyOptions, threshold, "threshold", 'd', 0, 0.0001, 2, NULL, "the gallery's calibration, else the encoder's own",
                 "largest distance, or with a learnt similarity least probability, at which the nearest person's name is given"),
    OPT_WORD_ROW(IdentifyOptions, similarity, "similarity", 0, MIEN_SIMILARITY_DISTANCE, SIMILARITY_WORDS, SIMILARITY_HELP),
    OPT_INT_ROW(IdentifyOptions, top, "top", 'k', 2, 1, TOP_MAX, NULL, NULL, "how many of the nearest people are listed"),
    OPT_FLAG_ROW(IdentifyOptions, explain, "explain", 0, "say why a face has its name, or none"),
    { .name = NULL },
};

const Command cmd_identify = {
    .name = "identify", .group = "Questions", .summary = "who is this (1:K)?", .args = "PICTURE...",
    .text = "For every face of every picture (folders are searched): the name, or unrecognised, then the nearest people with their distances. "
            "Where the threshold comes from the gallery's calibration (mien calibrate), so does the lead that a name needs over the next person. "
            "People who are ignored or have expired are never named. Doubtful detections are marked and do not count for the exit status beside certain ones. "
            "For videos use ffmpeg's filter facetag, which also asks for a lead over the next person and gathers evidence over many views.\n"
            "$ mien identify party.jpg --gallery family.db",
    .statuses = "0 every picture has a face and every face has a name; 1 somebody was not recognised or a picture has no face; 2 error.",
    .options = identify_options, .options_bytes = sizeof(IdentifyOptions), .takes = TAKES_GALLERY | TAKES_FACES | TAKES_JSON,
    .min_args = 1, .max_args = -1, .run = run_identify,
};
