/* Calibrations in a gallery: stored whole, the newest counts, they go with their encoder, and nobody else's numbers get in. */
#include "gallery_util.h"

static MienCalibration example(double threshold)
{
    return (MienCalibration){ .fpir = 0.003, .threshold_sim_cos = threshold, .margin_sim_cos = 0.06, .verify_sim_cos = 0.375,
                              .fnir = 0.25, .fnir_low = 0.125, .fnir_high = 0.5, .fpir_measured = 0, .fpir_low = 0, .fpir_high = 0.0625,
                              .n_people = 12, .n_samples = 40, .n_mated = 11, .n_impostors = 58, .basis = MIEN_BASIS_STRANGERS };
}

static void stored_and_read(void **state)
{
    (void)state;
    const char *path = in_folder("a.db");
    MienGallery *g = open_gallery(path, MIEN_GALLERY_CREATE);
    MienCalibration c = example(0.5), back;
    int64_t n_now;
    assert_int_equal(mien_gallery_put_calibration(g, &c), MIEN_ERR(EINVAL)); /* no encoder yet */
    assert_int_equal(mien_gallery_calibration(g, &back, &n_now), MIEN_E_NOTFOUND);
    add(g, "Ann", 1);
    add(g, "Bob", 2);
    add(g, "Carl", 3);
    said[0] = '\0';
    assert_int_equal(mien_gallery_calibration(g, &back, &n_now), MIEN_E_NOTFOUND);
    assert_string_equal(said, "");
    assert_int_equal(mien_gallery_put_calibration(g, &c), 0);
    assert_int_equal(strlen(c.created), 20);
    assert_int_equal(mien_gallery_set_ignored(g, "Bob", 1), 0);
    assert_int_equal(mien_gallery_calibration(g, &back, &n_now), 0);
    assert_memory_equal(&back, &c, sizeof(c)); /* every field; neither has padding that differs: both were zeroed */
    assert_int_equal(n_now, 2);
    /* the newest counts, in every handle */
    MienGallery *other = open_gallery(path, MIEN_GALLERY_READ);
    MienCalibration second = example(0.625);
    second.fnir = second.fnir_low = second.fnir_high = second.fpir_measured = second.fpir_low = second.fpir_high = NAN;
    second.basis = MIEN_BASIS_PUBLISHED;
    assert_int_equal(mien_gallery_changed(other) >= 0, 1);
    assert_int_equal(mien_gallery_put_calibration(g, &second), 0);
    assert_int_equal(mien_gallery_changed(other), 1);
    assert_int_equal(mien_gallery_calibration(other, &back, NULL), 0);
    assert_float_equal(back.threshold_sim_cos, 0.625, 0);
    assert_true(isnan(back.fnir) && isnan(back.fnir_low) && isnan(back.fpir_measured) && isnan(back.fpir_high));
    assert_int_equal(back.basis, MIEN_BASIS_PUBLISHED);
    assert_int_equal(mien_gallery_put_calibration(other, &second), MIEN_ERR(EACCES));
    mien_gallery_close(&other);
    assert_int_equal(mien_gallery_check(g, NULL, NULL), 0);
    assert_int_equal(raw_number(path, "SELECT count(*) FROM audit WHERE verb = 'calibrate' AND subject = '' AND detail LIKE "
                                      "'threshold 0.%, FPIR 0.003, 12 people'"), 2);
    /* in backups, not in exports */
    assert_int_equal(mien_gallery_backup(g, in_folder("backup.db")), 0);
    assert_int_equal(mien_gallery_export(g, in_folder("a.json")), 0);
    other = open_gallery(in_folder("backup.db"), MIEN_GALLERY_READ);
    assert_int_equal(mien_gallery_calibration(other, &back, NULL), 0);
    assert_float_equal(back.threshold_sim_cos, 0.625, 0);
    mien_gallery_close(&other);
    other = open_gallery(in_folder("imported.db"), MIEN_GALLERY_CREATE);
    assert_int_equal(mien_gallery_import(other, in_folder("a.json"), NULL), 0);
    assert_int_equal(mien_gallery_calibration(other, &back, NULL), MIEN_E_NOTFOUND);
    mien_gallery_close(&other);
    /* another encoder moves in: what was found out about the old one goes */
    assert_int_equal(mien_gallery_forget(g, "Ann", NULL), 0);
    assert_int_equal(mien_gallery_forget(g, "Bob", NULL), 0);
    assert_int_equal(mien_gallery_forget(g, "Carl", NULL), 0);
    assert_int_equal(mien_gallery_calibration(g, &back, &n_now), 0);
    assert_int_equal(n_now, 0);
    assert_int_equal(mien_gallery_bind(g, HASH_B, "another", DIM), 0);
    add(g, "Dora", 4);
    assert_int_equal(mien_gallery_calibration(g, &back, NULL), MIEN_E_NOTFOUND);
    mien_gallery_close(&g);
}

static void refused(void **state)
{
    (void)state;
    MienGallery *g = open_gallery(in_folder("refused.db"), MIEN_GALLERY_CREATE);
    MienCalibration good = example(0.5), back;
    add(g, "Ann", 1);
    for (int i = 0; i < 12; i++) {
        MienCalibration c = good;
        double *const field[] = { &c.fpir, &c.threshold_sim_cos, &c.margin_sim_cos, &c.verify_sim_cos, &c.fnir, &c.fnir_low, &c.fnir_high,
                                  &c.fpir_measured, &c.fpir_low, &c.fpir_high };
        if (i < 10)
            *field[i] = i == 5 || i == 8 ? 0.75 : 3; /* a lower bound above its rate */
        else if (i == 10)
            c.n_people = -1;
        else
            c.fnir = NAN; /* but with bounds */
        said[0] = '\0';
        assert_int_equal(mien_gallery_put_calibration(g, &c), MIEN_ERR(EINVAL));
        assert_non_null(strstr(said, "a calibration that has"));
    }
    assert_int_equal(mien_gallery_calibration(g, &back, NULL), MIEN_E_NOTFOUND);
    mien_gallery_close(&g);
}

static void remember_line(void *priv, const char *text)
{
    snprintf(priv, 256, "%s", text);
}

/* Rows that somebody else has put there. */
static void damaged(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *text;
        int n_found; /* what SQLite's own check sees as well is a finding more */
    } row[] = {
        { "UPDATE calibration SET threshold = 1e300", "no cosine similarity", 2 },
        { "UPDATE calibration SET fnir_low = 0.9", "bounds", 1 },
        { "UPDATE calibration SET fpir = 0", "a rate", 1 },
        { "UPDATE calibration SET created = 'yesterday'", "date", 1 },
        { "UPDATE calibration SET n_people = -5", "negative", 2 },
    };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(row); i++) {
        char sql[256], text[256] = "", path[512];
        MienCalibration c = example(0.5);
        snprintf(path, sizeof(path), "%s", in_folder("damaged.db"));
        unlink(path);
        MienGallery *g = open_gallery(path, MIEN_GALLERY_CREATE);
        add(g, "Ann", 1);
        assert_int_equal(mien_gallery_put_calibration(g, &c), 0);
        mien_gallery_close(&g);
        snprintf(sql, sizeof(sql), "PRAGMA ignore_check_constraints = ON; %s", row[i].sql);
        raw_sql(path, sql);
        g = open_gallery(path, MIEN_GALLERY_WRITE);
        assert_int_equal(mien_gallery_check(g, remember_line, text), row[i].n_found);
        assert_non_null(strstr(text, row[i].text));
        int ret = mien_gallery_calibration(g, &c, NULL);
        assert_int_equal(ret, strstr(row[i].text, "date") ? 0 : MIEN_E_CORRUPT);
        c = example(0.5); /* another one mends it */
        assert_int_equal(mien_gallery_put_calibration(g, &c), 0);
        assert_int_equal(mien_gallery_calibration(g, &c, NULL), 0);
        mien_gallery_close(&g);
    }
}

static void templates(void **state)
{
    (void)state;
    MienGallery *g = open_gallery(in_folder("t.db"), MIEN_GALLERY_CREATE);
    float *v, want[DIM];
    int64_t *person;
    int dim;
    assert_int_equal(mien_gallery_templates(g, &v, &person, &dim), 0);
    assert_true(!v && !person);
    add(g, "Ann", 1);
    add(g, "Bob", 2);
    add(g, "Carl", 3);
    add(g, "Ann", 4);
    add(g, "Dora", 5);
    assert_int_equal(mien_gallery_set_ignored(g, "Bob", 1), 0);
    assert_int_equal(mien_gallery_set_notes(g, "Carl", NULL, "2001-01-01", NULL), 0);
    assert_int_equal(mien_gallery_templates(g, &v, &person, &dim), 3);
    assert_int_equal(dim, DIM);
    assert_int_equal(person[0], 1);
    assert_int_equal(person[1], 1);
    assert_int_equal(person[2], 4);
    make_vector(want, 4, DIM);
    for (int k = 0; k < DIM; k++)
        assert_float_equal(v[DIM + k], want[k], 1e-6);
    mien_free(v);
    mien_free(person);
    mien_gallery_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stored_and_read), cmocka_unit_test(refused), cmocka_unit_test(damaged), cmocka_unit_test(templates),
    };
    return cmocka_run_group_tests(tests, make_test_folder, remove_test_folder);
}
