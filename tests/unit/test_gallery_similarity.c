/* Learnt similarity in a gallery: stored, replaced, damaged, and the search that ranks by it against a naive one. */
#include "gallery_util.h"

static MienGallerySimilarity make_unit(MienSimilarityKind kind, unsigned seed)
{
    MienGallerySimilarity s = { .unit = { .kind = kind, .dim = DIM, .b = 2.5f }, .n_pairs = 1234, .accuracy = 0.75 };
    make_vector(s.unit.w, seed, DIM);
    for (int k = 0; k < DIM; k++)
        s.unit.w[k] = -2 * fabsf(s.unit.w[k]) - 0.1f * (float)(k % 7);
    return s;
}

static void stores_and_replaces(void **state)
{
    (void)state;
    const char *path = in_folder("store.db");
    MienGallery *g = open_gallery(path, MIEN_GALLERY_CREATE);
    MienGallerySimilarity s = make_unit(MIEN_SIMILARITY_LOGISTIC, 1), got;
    assert_int_equal(mien_gallery_similarity(g, MIEN_SIMILARITY_LOGISTIC, &got), MIEN_E_NOTFOUND);
    assert_string_equal(said, ""); /* a question, no failure */
    assert_int_equal(mien_gallery_use_similarity(g, MIEN_SIMILARITY_LOGISTIC), MIEN_E_NOTFOUND);
    assert_non_null(strstr(said, "mien train similarity --kind logistic"));
    assert_int_equal(mien_gallery_set_similarity(g, &s), 0); /* binds, as a first sample does */
    assert_int_equal(strlen(s.created), 20);
    assert_int_equal(mien_gallery_similarity(g, MIEN_SIMILARITY_LOGISTIC, &got), 0);
    assert_memory_equal(&got.unit, &s.unit, sizeof(s.unit));
    assert_int_equal(got.n_pairs, 1234);
    assert_true(got.accuracy == 0.75);
    assert_string_equal(got.created, s.created);
    assert_int_equal(mien_gallery_similarity(g, MIEN_SIMILARITY_CHI2, &got), MIEN_E_NOTFOUND);
    s = make_unit(MIEN_SIMILARITY_LOGISTIC, 2);
    s.accuracy = NAN;
    assert_int_equal(mien_gallery_set_similarity(g, &s), 0);
    assert_int_equal(mien_gallery_similarity(g, MIEN_SIMILARITY_LOGISTIC, &got), 0);
    assert_memory_equal(&got.unit, &s.unit, sizeof(s.unit));
    assert_true(isnan(got.accuracy));
    assert_int_equal(raw_number(path, "SELECT count(*) FROM similarity"), 1);
    assert_int_equal(raw_number(path, "SELECT count(*) FROM audit WHERE verb = 'train'"), 2);
    assert_int_equal(mien_gallery_check(g, NULL, NULL), 0);

    /* what is no unit of this gallery */
    s.unit.dim = DIM - 1;
    assert_int_equal(mien_gallery_set_similarity(g, &s), MIEN_E_MISMATCH);
    s.unit.dim = DIM;
    s.unit.w[5] = NAN;
    assert_int_equal(mien_gallery_set_similarity(g, &s), MIEN_ERR(EINVAL));
    s = make_unit(MIEN_SIMILARITY_DISTANCE, 1);
    assert_int_equal(mien_gallery_set_similarity(g, &s), MIEN_ERR(EINVAL));
    s = make_unit(MIEN_SIMILARITY_CHI2, 1);
    s.accuracy = 1.5;
    assert_int_equal(mien_gallery_set_similarity(g, &s), MIEN_ERR(EINVAL));
    mien_gallery_close(&g);

    /* it belongs to the encoder */
    g = open_gallery(path, MIEN_GALLERY_WRITE);
    assert_int_equal(mien_gallery_bind(g, HASH_B, "another", DIM), 0);
    add(g, "Ann", 1);
    assert_int_equal(mien_gallery_similarity(g, MIEN_SIMILARITY_LOGISTIC, &got), MIEN_E_NOTFOUND);
    assert_int_equal(raw_number(path, "SELECT count(*) FROM similarity"), 0);
    mien_gallery_close(&g);
    assert_int_equal(mien_gallery_open(&g, path, MIEN_GALLERY_READ, test_log()), 0);
    s = make_unit(MIEN_SIMILARITY_CHI2, 1);
    assert_int_equal(mien_gallery_set_similarity(g, &s), MIEN_ERR(EACCES));
    mien_gallery_close(&g);
}

/* Best and second-best person by the unit, samples one by one. */
static void naive_search(const MienSimilarity *u, const float *probe, const float v[][DIM], const int *person, int n, int who[2],
                         double logit[2])
{
    who[0] = who[1] = -1;
    for (int place = 0; place < 2; place++) {
        for (int i = 0; i < n; i++) {
            double z = mien_similarity_logit(u, probe, v[i]);
            if ((place && person[i] == who[0]) || (who[place] >= 0 && z <= logit[place]))
                continue;
            who[place] = person[i];
            logit[place] = z;
        }
    }
}

static void ranks_by_it(void **state)
{
    (void)state;
    enum { N = 300, PEOPLE = 130 }; /* more than one block of the scan */
    static float v[N][DIM];
    static int person[N];
    static int64_t id[PEOPLE];
    MienGallery *g = open_gallery(in_folder("rank.db"), MIEN_GALLERY_CREATE);
    for (int i = 0; i < N; i++) {
        char name[16];
        MienSample s = { .quality = 1 };
        person[i] = i % PEOPLE;
        snprintf(name, sizeof(name), "P%d", person[i]);
        make_vector(v[i], 1000 + (unsigned)i, DIM);
        assert_int_equal(mien_gallery_add(g, name, v[i], DIM, &s), 0);
        id[person[i]] = s.person;
    }
    for (int kind = MIEN_SIMILARITY_LOGISTIC; kind <= MIEN_SIMILARITY_CHI2; kind++) {
        MienGallerySimilarity s = make_unit((MienSimilarityKind)kind, 3);
        assert_int_equal(mien_gallery_set_similarity(g, &s), 0);
        assert_int_equal(mien_gallery_use_similarity(g, s.unit.kind), 0);
        int n_other = 0;
        for (unsigned q = 0; q < 40; q++) {
            float probe[DIM];
            MienMatch m, cosine;
            MienCandidate c[3];
            int who[2];
            double logit[2];
            make_view(probe, 1000 + q, 5000 + q, q % 2 ? 0.1f : 0.6f, DIM);
            naive_search(&s.unit, probe, v, person, N, who, logit);
            assert_int_equal(mien_gallery_search(g, probe, DIM, NULL, &m), 0);
            assert_int_equal(m.id, id[who[0]]);
            assert_int_equal(m.second_id, id[who[1]]);
            assert_float_equal(m.logit_same, logit[0], 1e-4);
            assert_float_equal(m.second_logit_same, logit[1], 1e-4);
            assert_int_equal(mien_gallery_top(g, probe, DIM, c, 3), 3);
            assert_true(c[0].id == m.id && c[1].id == m.second_id && c[0].logit_same == m.logit_same && c[2].logit_same <= c[1].logit_same);
            assert_true(c[0].sim_cos == m.sim_cos);
            assert_int_equal(mien_gallery_search(g, probe, DIM, "P7", &m), 0);
            assert_int_equal(m.id, id[7]);
            assert_int_equal(mien_gallery_use_similarity(g, MIEN_SIMILARITY_DISTANCE), 0);
            assert_int_equal(mien_gallery_search(g, probe, DIM, NULL, &cosine), 0);
            assert_true(isnan(cosine.logit_same));
            n_other += cosine.id != c[0].id;
            assert_int_equal(mien_gallery_use_similarity(g, s.unit.kind), 0);
        }
        assert_true(n_other > 0); /* it is not the cosine in disguise */
    }
    mien_gallery_close(&g);
}

/* What another process learns is used from the next search on; what it damages is not, and the search goes on. */
static void follows_changes(void **state)
{
    (void)state;
    const char *path = in_folder("follow.db");
    MienGallery *g = open_gallery(path, MIEN_GALLERY_CREATE), *other;
    MienGallerySimilarity s = make_unit(MIEN_SIMILARITY_CHI2, 3);
    float probe[DIM];
    MienMatch m;
    add(g, "Ann", 1);
    make_view(probe, 1, 2, 0.8f, DIM);
    assert_int_equal(mien_gallery_set_similarity(g, &s), 0);
    assert_int_equal(mien_gallery_use_similarity(g, MIEN_SIMILARITY_CHI2), 0);
    assert_int_equal(mien_gallery_search(g, probe, DIM, NULL, &m), 0);
    float before = m.logit_same;
    other = open_gallery(path, MIEN_GALLERY_WRITE);
    s.unit.b += 1;
    assert_int_equal(mien_gallery_set_similarity(other, &s), 0);
    mien_gallery_close(&other);
    assert_int_equal(mien_gallery_search(g, probe, DIM, NULL, &m), 0);
    assert_float_equal(m.logit_same, before + 1, 1e-5);
    raw_sql(path, "UPDATE similarity SET w = zeroblob(12)");
    said[0] = '\0';
    assert_int_equal(mien_gallery_search(g, probe, DIM, NULL, &m), 0);
    assert_float_equal(m.logit_same, before + 1, 1e-5);
    assert_non_null(strstr(said, "goes on"));
    mien_gallery_close(&g);
}

static void finds_damage(void **state)
{
    (void)state;
    static const char *const damage[] = {
        "UPDATE similarity SET w = zeroblob(12)",
        "UPDATE similarity SET w = CAST(substr(w, 1, 508) || x'0000807f' AS BLOB)", /* +inf */
        "UPDATE similarity SET b = 1e300",                                          /* no float */
        "UPDATE similarity SET created = 'yesterday'",
        "PRAGMA foreign_keys = OFF; UPDATE similarity SET model = 99",
        "PRAGMA ignore_check_constraints = ON; UPDATE similarity SET kind = 'magic'",
        "PRAGMA ignore_check_constraints = ON; UPDATE similarity SET accuracy = 3",
    };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(damage); i++) {
        const char *path = in_folder("damage.db");
        MienGallery *g = open_gallery(path, MIEN_GALLERY_CREATE);
        MienGallerySimilarity s = make_unit(MIEN_SIMILARITY_LOGISTIC, 3);
        add(g, "Ann", (unsigned)i + 1);
        assert_int_equal(mien_gallery_set_similarity(g, &s), 0);
        assert_int_equal(mien_gallery_check(g, NULL, NULL), 0);
        raw_sql(path, damage[i]);
        if (mien_gallery_check(g, NULL, NULL) < 1)
            fail_msg("row %zu: not found", i);
        int ret = mien_gallery_use_similarity(g, MIEN_SIMILARITY_LOGISTIC);
        assert_true(ret == MIEN_E_CORRUPT || ret == MIEN_E_NOTFOUND || i == 3); /* a date hurts nobody */
        mien_gallery_close(&g);
        unlink(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stores_and_replaces), cmocka_unit_test(ranks_by_it), cmocka_unit_test(follows_changes),
        cmocka_unit_test(finds_damage),
    };
    return cmocka_run_group_tests(tests, make_test_folder, remove_test_folder);
}
