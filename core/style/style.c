/* A session of style transfer at one working size: planning, steering, iterations (mien/style.h).
 *
 * Planning finds tiles and history that keep to the bound of memory: first the whole picture at once, then ever smaller tiles,
 * which cost time, and only with the smallest a shorter history, which costs convergence. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "image/sample.h"
#include "mien/error.h"
#include "nn/gram.h"
#include "style/style_int.h"

#define MIN_CELL_PX 8       /* of the anchor */
#define MIN_HISTORY 3
#define MAX_BORDER_PX 1024
#define MAX_STEP_PX 256     /* of a layer: its positions' distance */
#define MAX_WEIGHT 1e9

/* Cores of tiles tried, largest first. */
static const int tile_sizes[] = { 2048, 1536, 1024, 768, 512, 384, 256, 128 };

static int round_up(int v, int step)
{
    return (v + step - 1) / step * step;
}

static int usable(double v)
{
    return v >= 0 && v <= MAX_WEIGHT;
}

static int weights_check(const MienStyleWeights *w, MienLog log)
{
    if (usable(w->strength) && usable(w->content) && usable(w->tv) && usable(w->range))
        return 0;
    return mien_fail(log, MIEN_ERR(EINVAL), "style: weights are numbers from 0 to %g", MAX_WEIGHT);
}

/* ---- create: parameters, layers */

static int params_check(const MienStyleParams *p, const MienStyleTarget *target)
{
    if (p->w_px < 1 || p->h_px < 1 || p->w_px > MIEN_STYLE_MAX_PX || p->h_px > MIEN_STYLE_MAX_PX)
        return mien_fail(p->log, MIEN_ERR(EINVAL), "style: a picture of %dx%d; sides of 1 to %d pixels are possible", p->w_px, p->h_px,
                         MIEN_STYLE_MAX_PX);
    if ((p->optimizer != MIEN_STYLE_LBFGS && p->optimizer != MIEN_STYLE_ADAM) ||
        (p->distance != MIEN_STYLE_L2 && p->distance != MIEN_STYLE_L1) || p->history < 1 || p->history > 100 ||
        !(p->adam_rate > 0) || p->adam_rate > 10 || p->border_px < 0 || p->border_px > MAX_BORDER_PX || !p->content_layer)
        return mien_fail(p->log, MIEN_ERR(EINVAL), "style: a parameter is out of range");
    if (weights_check(&p->weights, p->log) < 0)
        return MIEN_ERR(EINVAL);
    if (target->n_layers < 1 || target->n_layers > MIEN_STYLE_MAX_LAYERS)
        return mien_fail(p->log, MIEN_ERR(EINVAL), "style: %d layers; 1 to %d are possible", target->n_layers, MIEN_STYLE_MAX_LAYERS);
    for (int i = 0; i < target->n_layers; i++) {
        const MienStyleLayer *l = &target->layer[i];
        if (!l->name || strlen(l->name) >= sizeof(((MieniStyleTap *)0)->name) || l->channels < 1 || l->channels > 65536 ||
            !usable(l->weight) || !l->gram)
            return mien_fail(p->log, MIEN_ERR(EINVAL), "style: layer %d of the style is not usable", i + 1);
    }
    return 0;
}

static MieniStyleTap *find_tap(const MienStyle *s, const char *name)
{
    for (int i = 0; i < s->n_taps; i++) {
        if (!strcmp(s->tap[i].name, name))
            return &s->tap[i];
    }
    return NULL;
}

static MieniStyleTap *add_tap(MienStyle *s, const char *name)
{
    MieniStyleTap *tap = &s->tap[s->n_taps];
    snprintf(tap->name, sizeof(tap->name), "%s", name);
    tap->i_output = s->n_taps++;
    return tap;
}

/* The layers that the loss looks at, each once. */
static int choose_taps(MienStyle *s, const MienStyleTarget *target)
{
    const MienStyleParams *p = &s->p;
    if (!(s->tap = mien_calloc((size_t)target->n_layers + 1, sizeof(*s->tap))))
        return MIEN_ERR(ENOMEM);
    for (int i = 0; i < target->n_layers; i++) {
        if (find_tap(s, target->layer[i].name))
            return mien_fail(p->log, MIEN_ERR(EINVAL), "style: layer %s twice", target->layer[i].name);
        MieniStyleTap *tap = add_tap(s, target->layer[i].name);
        tap->is_style = 1;
        tap->c = target->layer[i].channels;
    }
    MieniStyleTap *content = find_tap(s, p->content_layer);
    if (!content && strlen(p->content_layer) < sizeof(content->name))
        content = add_tap(s, p->content_layer);
    if (!content)
        return mien_fail(p->log, MIEN_E_NOTFOUND, "style: %.80s is no layer's name", p->content_layer);
    content->is_content = 1;
    s->i_content = (int)(content - s->tap);
    return 0;
}

/* Steps of all layers, the border, and how far a position sees: *step, *halo. */
static int measure_fields(MienStyle *s, int *step, int *halo)
{
    int64_t reach = 0;
    *step = 1;
    for (int i = 0; i < s->n_taps; i++) {
        MienField f;
        int ret = mien_model_field(s->model, s->tap[i].name, &f);
        if (ret == MIEN_ERR(ENOMEM))
            return ret;
        if (ret == MIEN_E_NOTFOUND)
            return mien_fail(s->p.log, ret, "%s: the network has no layer %s", mien_model_path(s->model), s->tap[i].name);
        if (ret < 0 || f.step_px[0] != f.step_px[1] || f.step_px[0] > MAX_STEP_PX ||
            (f.step_px[0] % *step && *step % f.step_px[0]))
            return mien_fail(s->p.log, MIEN_E_MODEL, "%s: layer %s is none of a grid over the picture", mien_model_path(s->model),
                             s->tap[i].name);
        s->tap[i].step = (int)f.step_px[0];
        *step = s->tap[i].step > *step ? s->tap[i].step : *step;
        for (int a = 0; a < 2; a++) {
            reach = -f.first_px[a] > reach ? -f.first_px[a] : reach;
            reach = f.last_px[a] > reach ? f.last_px[a] : reach;
        }
    }
    if (reach > 16384)
        return mien_fail(s->p.log, MIEN_E_MODEL, "%s: a layer sees %lld pixels round it, too many for tiles", mien_model_path(s->model),
                         (long long)reach);
    *halo = round_up((int)reach, *step);
    return 0;
}

int mieni_style_check_model(const MienModel *model, MienLog log)
{
    const char *role = mien_model_meta(model, "role"), *path = mien_model_path(model);
    MieniInput in;
    if (!role || strcmp(role, "features"))
        return mien_fail(log, MIEN_E_MODEL, "%s: is no feature network but one for %s", path, role ? role : "?");
    int ret = mieni_input_parse(&in, mien_model_meta(model, "input.channels"), mien_model_meta(model, "input.mean"),
                                mien_model_meta(model, "input.scale"));
    for (int i = 0; i < 3 && ret >= 0; i++)
        if (in.n_channels != 3 || in.bgr || in.mean[i] != 0 || fabsf(in.scale[i] * 255 - 1) > 1e-4f)
            ret = MIEN_E_MODEL;
    if (ret < 0)
        return mien_fail(log, MIEN_E_MODEL, "%s: does not take RGB in 0..1, as feature networks for styles do", path);
    return 0;
}

/* ---- create: plan of tiles and memory */

typedef struct Plan {
    int step, halo;
    int core;             /* largest core of a tile; 0: all at once */
    int n_x, n_y, core_w, core_h, net_w, net_h;
    int history;
    size_t bytes;
} Plan;

static int cut(int side, int core, int step, int *n, int *size)
{
    *n = core ? (side + core - 1) / core : 1;
    *size = round_up((side + *n - 1) / *n, step);
    *n = (side + *size - 1) / *size;
    return *n;
}

static MienOptimParams optim_params(const MienStyle *s, int history)
{
    MienOptimParams op = MIEN_OPTIM_DEFAULTS;
    op.exec = s->p.exec;
    op.log = s->p.log;
    op.n = s->n;
    op.max_evals = MIENI_STYLE_EVALS - 1;
    op.history = history;
    op.gradient_tol = 1e-12;
    op.step_tol = 1e-12;
    if (s->p.optimizer == MIEN_STYLE_ADAM) {
        op.kind = MIEN_OPTIM_ADAM;
        op.rate = s->p.adam_rate;
        op.hi = 1;
    }
    return op;
}

static MienNetParams net_params(const MienStyle *s, const Plan *plan, const char **names)
{
    MienNetParams np = MIEN_NET_DEFAULTS;
    for (int i = 0; i < s->n_taps; i++)
        names[i] = s->tap[i].name;
    np.exec = s->p.exec;
    np.log = s->p.log;
    np.cpu = s->p.cpu;
    np.w_px = plan->net_w;
    np.h_px = plan->net_h;
    np.grad = MIEN_NET_GRAD_INPUT;
    np.outputs = names;
    np.n_outputs = s->n_taps;
    return np;
}

/* Positions of a tap in a core of this size; with border 0 the layer may have fewer. */
static size_t core_elems(const MieniStyleTap *tap, int w, int h)
{
    return (size_t)((w + tap->step - 1) / tap->step) * (size_t)((h + tap->step - 1) / tap->step) * (size_t)tap->c;
}

/* What the session takes beside net and minimiser; sets the sizes of its buffers. */
static size_t own_bytes(MienStyle *s, const Plan *plan)
{
    size_t bytes = 2 * s->n * sizeof(float); /* x, content */
    s->gather_elems = s->gram_work_bytes = 0;
    for (int i = 0; i < s->n_taps; i++) {
        const MieniStyleTap *tap = &s->tap[i];
        size_t cc = (size_t)tap->c * (size_t)tap->c, elems = core_elems(tap, plan->core_w, plan->core_h);
        if (!tap->is_style)
            continue;
        /* for one tile of the whole picture the positions gathered are those of the picture, or all of the net's */
        size_t work = mieni_gram_work_bytes((ptrdiff_t)(elems / (size_t)tap->c), tap->c);
        s->gather_elems = elems > s->gather_elems ? elems : s->gather_elems;
        s->gram_work_bytes = work > s->gram_work_bytes ? work : s->gram_work_bytes;
        bytes += cc * (3 * sizeof(float) + sizeof(double));
    }
    s->content_elems = core_elems(&s->tap[s->i_content], s->p.w_px, s->p.h_px);
    s->n_row_sums = (size_t)(s->padded_h > s->p.h_px ? s->padded_h : s->p.h_px);
    bytes += (s->content_elems + s->gather_elems) * sizeof(float) + s->gram_work_bytes + s->n_row_sums * sizeof(double);
    bytes += (size_t)mieni_style_nodes(s->p.w_px, MIN_CELL_PX) * (size_t)mieni_style_nodes(s->p.h_px, MIN_CELL_PX) * 6 * sizeof(double);
    return bytes + (size_t)(s->padded_w + s->padded_h) * sizeof(int) + (size_t)plan->n_x * (size_t)plan->n_y * sizeof(*s->tile);
}

static int plan_size(MienStyle *s, Plan *plan, MienLog log)
{
    const char *names[MIEN_STYLE_MAX_LAYERS + 1];
    size_t net_bytes;
    cut(s->p.w_px, plan->core, plan->step, &plan->n_x, &plan->core_w);
    cut(s->p.h_px, plan->core, plan->step, &plan->n_y, &plan->core_h);
    plan->net_w = plan->core_w + 2 * plan->halo;
    plan->net_h = plan->core_h + 2 * plan->halo;
    if (plan->n_x == 1 || plan->net_w > s->padded_w)
        plan->net_w = s->padded_w;
    if (plan->n_y == 1 || plan->net_h > s->padded_h)
        plan->net_h = s->padded_h;
    MienNetParams np = net_params(s, plan, names);
    np.log = log;
    int ret = mien_net_estimate(s->model, &np, &net_bytes, NULL);
    if (ret < 0)
        return ret;
    MienOptimParams op = optim_params(s, plan->history);
    plan->bytes = own_bytes(s, plan) + net_bytes + mien_optim_memory_bytes(&op);
    return 0;
}

static int choose_plan(MienStyle *s, Plan *plan)
{
    const MienLog silent = { 0 };
    size_t least = SIZE_MAX;
    plan->history = s->p.history;
    int ret = plan_size(s, plan, s->whole ? s->p.log : silent);
    if (s->whole && ret < 0)
        return ret;
    for (size_t i = 0; (ret < 0 || (s->p.memory_bytes && plan->bytes > s->p.memory_bytes)) && !s->whole; i++) {
        if (i == MIEN_ARRAY_ELEMS(tile_sizes)) {
            if (s->p.optimizer == MIEN_STYLE_ADAM || plan->history <= MIN_HISTORY || ret < 0)
                break;
            plan->history--;
            i--;
        } else {
            plan->core = round_up(tile_sizes[i], plan->step);
        }
        ret = plan_size(s, plan, i + 1 < MIEN_ARRAY_ELEMS(tile_sizes) ? silent : s->p.log);
        least = ret >= 0 ? plan->bytes : least;
    }
    if (ret < 0)
        return ret;
    if (s->p.memory_bytes && plan->bytes > s->p.memory_bytes)
        return mien_fail(s->p.log, MIEN_ERR(ENOMEM), "style: a picture of %dx%d needs %.0f MB at least, %.0f MB are allowed", s->p.w_px,
                         s->p.h_px, ceil((double)(least < plan->bytes ? least : plan->bytes) / 1e6), (double)s->p.memory_bytes / 1e6);
    s->memory_bytes = plan->bytes;
    s->p.history = plan->history;
    return 0;
}

/* Mirrored at the border's edge without repeating the outermost pixel; sides of 1 repeat it. */
static int *new_mirror(int padded, int border, int side)
{
    int *m = mien_malloc_array((size_t)padded, sizeof(*m)), period = side > 1 ? 2 * (side - 1) : 1;
    for (int i = 0; m && i < padded; i++) {
        int at = ((i - border) % period + period) % period;
        m[i] = at < side ? at : period - at;
    }
    return m;
}

static int clamp_int(int v, int lo, int hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static void place_tiles(MienStyle *s, const Plan *plan)
{
    const int b = s->border;
    size_t at = 0;
    s->n_tiles = plan->n_x * plan->n_y;
    for (int i = 0; i < s->n_tiles; i++) {
        MieniStyleTile *t = &s->tile[i];
        int x = i % plan->n_x * plan->core_w, y = i / plan->n_x * plan->core_h;
        t->core_x0 = b + x;
        t->core_y0 = b + y;
        t->core_x1 = b + clamp_int(x + plan->core_w, 0, s->p.w_px);
        t->core_y1 = b + clamp_int(y + plan->core_h, 0, s->p.h_px);
        t->x0 = clamp_int(t->core_x0 - plan->halo, 0, s->padded_w - plan->net_w);
        t->y0 = clamp_int(t->core_y0 - plan->halo, 0, s->padded_h - plan->net_h);
        t->content_at = at;
        MieniStyleSpan sp = mieni_style_span(s, &s->tap[s->i_content], t);
        at += (size_t)(sp.x1 - sp.x0) * (size_t)(sp.y1 - sp.y0) * (size_t)s->tap[s->i_content].c;
    }
    s->content_elems = at;
}

static int take_memory(MienStyle *s, const Plan *plan)
{
    const char *names[MIEN_STYLE_MAX_LAYERS + 1];
    MienNetParams np = net_params(s, plan, names);
    MienOptimParams op = optim_params(s, plan->history);
    int ret = mien_net_create(&s->net, s->model, &np);
    if (ret >= 0)
        ret = mien_optim_create(&s->optim, &op);
    if (ret < 0)
        return ret;
    for (int i = 0; i < s->n_taps; i++) {
        MieniStyleTap *tap = &s->tap[i];
        size_t cc = (size_t)tap->c * (size_t)tap->c;
        if (tap->is_style && (!(tap->target = mien_calloc(cc, sizeof(float))) || !(tap->pull = mien_calloc(cc, sizeof(float))) ||
                              !(tap->part = mien_calloc(cc, sizeof(float))) || !(tap->sum = mien_calloc(cc, sizeof(double)))))
            return MIEN_ERR(ENOMEM);
    }
    size_t nodes = (size_t)mieni_style_nodes(s->p.w_px, MIN_CELL_PX) * (size_t)mieni_style_nodes(s->p.h_px, MIN_CELL_PX) * 3;
    if (!(s->tile = mien_calloc((size_t)plan->n_x * (size_t)plan->n_y, sizeof(*s->tile))) ||
        !(s->mirror_x = new_mirror(s->padded_w, s->border, s->p.w_px)) ||
        !(s->mirror_y = new_mirror(s->padded_h, s->border, s->p.h_px)) || !(s->x = mien_calloc(s->n, sizeof(float))) ||
        !(s->content = mien_calloc(s->n, sizeof(float))) || !(s->gather = mien_malloc_array(s->gather_elems, sizeof(float))) ||
        !(s->gram_work = mien_malloc(s->gram_work_bytes)) || !(s->row_sum = mien_calloc(s->n_row_sums, sizeof(double))) ||
        !(s->anchor_node = mien_calloc(nodes, sizeof(double))) || !(s->anchor_residual = mien_calloc(nodes, sizeof(double))))
        return MIEN_ERR(ENOMEM);
    place_tiles(s, plan);
    s->content_f = mien_calloc(s->content_elems, sizeof(float));
    return s->content_f ? 0 : MIEN_ERR(ENOMEM);
}

/* The channels of the content's layer, which nobody has told yet: a small net knows. Also checks the style's. */
static int check_channels(MienStyle *s, int step, int halo)
{
    const char *names[MIEN_STYLE_MAX_LAYERS + 1];
    Plan small = { .net_w = 2 * (step + halo), .net_h = 2 * (step + halo) };
    MienNetParams np = net_params(s, &small, names);
    MienNet *net;
    MienShape shape;
    np.grad = 0;
    int ret = mien_net_create(&net, s->model, &np);
    for (int i = 0; i < s->n_taps && ret >= 0; i++) {
        MieniStyleTap *tap = &s->tap[i];
        mien_net_output(net, i, &shape);
        if (tap->is_style && tap->c != shape.c)
            ret = mien_fail(s->p.log, MIEN_E_SHAPE, "style: layer %s has %d channels in the style and %d in the network %s", tap->name,
                            tap->c, shape.c, mien_model_path(s->model));
        tap->c = shape.c;
    }
    mien_net_destroy(&net);
    return ret;
}

int mien_style_create(MienStyle **out, MienModel *model, const MienStyleTarget *target, const MienStyleParams *params)
{
    *out = NULL;
    int ret = params_check(params, target);
    if (ret < 0 || (ret = mieni_style_check_model(model, params->log)) < 0)
        return ret;
    MienStyle *s = mien_calloc(1, sizeof(*s));
    Plan plan = { 0 };
    double share = 1;
    if (!s)
        return MIEN_ERR(ENOMEM);
    s->p = *params;
    s->model = mien_model_ref(model);
    s->kernels = mieni_kernels(params->cpu);
    s->n = (size_t)params->w_px * (size_t)params->h_px * 3;
    if ((ret = choose_taps(s, target)) < 0 || (ret = measure_fields(s, &plan.step, &plan.halo)) < 0 ||
        (ret = check_channels(s, plan.step, plan.halo)) < 0)
        goto fail;
    s->whole = !params->border_px;
    s->border = round_up(params->border_px, plan.step);
    s->padded_w = s->whole ? params->w_px : round_up(params->w_px, plan.step) + 2 * s->border;
    s->padded_h = s->whole ? params->h_px : round_up(params->h_px, plan.step) + 2 * s->border;
    if ((ret = choose_plan(s, &plan)) < 0 || (ret = take_memory(s, &plan)) < 0 ||
        (ret = mien_style_set_target(s, &target, &share, 1)) < 0)
        goto fail;
    s->p.content_layer = s->tap[s->i_content].name;
    *out = s;
    return 0;
fail:
    if (ret == MIEN_ERR(ENOMEM) && !s->memory_bytes)
        mien_log(params->log, MIEN_LOG_DEBUG, "style: out of memory while planning");
    mien_style_destroy(&s);
    return ret;
}

void mien_style_destroy(MienStyle **ps)
{
    if (!ps || !*ps)
        return;
    MienStyle *s = *ps;
    for (int i = 0; i < s->n_taps; i++) {
        mien_free(s->tap[i].target);
        mien_free(s->tap[i].pull);
        mien_free(s->tap[i].part);
        mien_free(s->tap[i].sum);
    }
    mien_free(s->tap);
    mien_net_destroy(&s->net);
    mien_optim_destroy(&s->optim);
    mien_model_unref(&s->model);
    mien_free(s->tile);
    mien_free(s->mirror_x);
    mien_free(s->mirror_y);
    mien_free(s->x);
    mien_free(s->content);
    mien_free(s->content_f);
    mien_free(s->gather);
    mien_free(s->gram_work);
    mien_free(s->row_sum);
    mien_free(s->anchor_node);
    mien_free(s->anchor_residual);
    mien_free(s);
    *ps = NULL;
}

size_t mien_style_memory_bytes(const MienStyle *style)
{
    return style->memory_bytes;
}

int mien_style_n_tiles(const MienStyle *style)
{
    return style->n_tiles;
}

/* ---- what is asked for */

int mien_style_set_weights(MienStyle *s, const MienStyleWeights *weights)
{
    if (weights_check(weights, s->p.log) < 0)
        return MIEN_ERR(EINVAL);
    s->p.weights = *weights;
    return 0;
}

static const MienStyleLayer *find_layer(const MienStyleTarget *target, const MieniStyleTap *tap)
{
    for (int i = 0; i < target->n_layers && i < MIEN_STYLE_MAX_LAYERS; i++) {
        const MienStyleLayer *l = &target->layer[i];
        if (!strcmp(l->name, tap->name))
            return l->channels == tap->c && l->gram && usable(l->weight) ? l : NULL;
    }
    return NULL;
}

static int targets_fit(const MienStyle *s, const MienStyleTarget *const *target, const double *share, int n, double *sum)
{
    *sum = 0;
    for (int k = 0; k < n; k++) {
        int n_style = 0;
        if (!usable(share[k]))
            return mien_fail(s->p.log, MIEN_ERR(EINVAL), "style: shares of a blend are numbers of at least 0");
        *sum += share[k];
        for (int i = 0; i < s->n_taps; i++) {
            n_style += s->tap[i].is_style;
            if (s->tap[i].is_style && !find_layer(target[k], &s->tap[i]))
                return mien_fail(s->p.log, MIEN_E_MISMATCH, "style: style %d of the blend has no layer %s of %d channels", k + 1,
                                 s->tap[i].name, s->tap[i].c);
        }
        if (n_style != target[k]->n_layers)
            return mien_fail(s->p.log, MIEN_E_MISMATCH, "style: style %d of the blend has %d layers and not %d", k + 1,
                             target[k]->n_layers, n_style);
    }
    return *sum > 0 ? 0 : mien_fail(s->p.log, MIEN_ERR(EINVAL), "style: all shares of a blend are 0");
}

int mien_style_set_target(MienStyle *s, const MienStyleTarget *const *target, const double *share, int n)
{
    double sum, weights = 0;
    if (n < 1 || n > MIEN_STYLE_MAX_TARGETS)
        return mien_fail(s->p.log, MIEN_ERR(EINVAL), "style: a blend of %d styles; 1 to %d are possible", n, MIEN_STYLE_MAX_TARGETS);
    int ret = targets_fit(s, target, share, n, &sum);
    if (ret < 0)
        return ret;
    for (int i = 0; i < s->n_taps; i++) {
        MieniStyleTap *tap = &s->tap[i];
        const size_t cc = (size_t)tap->c * (size_t)tap->c;
        if (!tap->is_style)
            continue;
        memset(tap->target, 0, cc * sizeof(float));
        tap->weight = tap->target_square = 0;
        for (int k = 0; k < n; k++) {
            const MienStyleLayer *l = find_layer(target[k], tap);
            const float part = (float)(share[k] / sum);
            tap->weight += share[k] / sum * l->weight;
            for (size_t j = 0; j < cc; j++)
                tap->target[j] += part * l->gram[j];
        }
        for (size_t j = 0; j < cc; j++)
            tap->target_square += (double)tap->target[j] * (double)tap->target[j];
        weights += tap->weight;
    }
    for (int i = 0; i < s->n_taps && weights > 0; i++)
        s->tap[i].weight /= weights;
    return 0;
}

static int all_finite(const float *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(v[i]))
            return 0;
    }
    return 1;
}

int mien_style_set_content(MienStyle *s, const float *rgb)
{
    if (!all_finite(rgb, s->n))
        return mien_fail(s->p.log, MIEN_ERR(EINVAL), "style: the content has values that are not finite");
    memcpy(s->content, rgb, s->n * sizeof(float));
    s->have_content = 0;
    int ret = mieni_style_take_content(s);
    if (ret < 0)
        return ret;
    s->have_content = 1;
    return 0;
}

void mien_style_set_mask(MienStyle *s, const float *mask)
{
    s->mask = mask;
}

int mien_style_set_temporal(MienStyle *s, int i_ref, const float *rgb, const float *certainty, double weight)
{
    if (i_ref < 0 || i_ref >= MIEN_STYLE_MAX_REFS || !usable(weight))
        return mien_fail(s->p.log, MIEN_ERR(EINVAL), "style: reference %d with weight %g", i_ref, weight);
    s->ref[i_ref] = (MieniStyleRef){ weight > 0 ? rgb : NULL, certainty, weight };
    return 0;
}

int mien_style_set_anchor(MienStyle *s, const float *rgb, int cell_px, double weight)
{
    if (!usable(weight) || (weight > 0 && (cell_px < MIN_CELL_PX || (!rgb && !s->have_content))))
        return mien_fail(s->p.log, MIEN_ERR(EINVAL), "style: an anchor of weight %g and cells of %d pixels (%d at least), or without a picture",
                         weight, cell_px, MIN_CELL_PX);
    s->anchor_weight = weight;
    if (!(weight > 0))
        return 0;
    s->anchor_cell_px = cell_px;
    s->anchor_w = mieni_style_nodes(s->p.w_px, cell_px);
    s->anchor_h = mieni_style_nodes(s->p.h_px, cell_px);
    mieni_style_smooth(s, rgb ? rgb : s->content, s->anchor_node);
    return 0;
}

/* ---- iterations */

int mien_style_start(MienStyle *s, const float *rgb, int iterations, int keep)
{
    if ((!rgb && !s->have_content) || iterations < 0)
        return mien_fail(s->p.log, MIEN_ERR(EINVAL), "style: a start without a picture, or for %d iterations", iterations);
    if (rgb && !all_finite(rgb, s->n))
        return mien_fail(s->p.log, MIEN_ERR(EINVAL), "style: the start has values that are not finite");
    memcpy(s->x, rgb ? rgb : s->content, s->n * sizeof(float));
    if (keep)
        mien_optim_refresh(s->optim);
    else
        mien_optim_reset(s->optim);
    s->iteration = 0;
    s->n_iterations = iterations;
    s->have_start = 1;
    return 0;
}

/* The parts of the loss that the minimiser went on from: it may not be its last trial. */
static void report_loss(MienStyle *s)
{
    double total = mien_optim_loss(s->optim);
    for (int i = s->n_evals - 1; i >= 0; i--) {
        if (s->eval[i].total == total) {
            s->loss = s->eval[i];
            return;
        }
    }
}

int mien_style_step(MienStyle *s, MienStyleLoss *loss)
{
    if (!s->have_content || !s->have_start)
        return mien_fail(s->p.log, MIEN_ERR(EINVAL), "style: an iteration without content or start");
    if (s->p.optimizer == MIEN_STYLE_ADAM) {
        double at = s->n_iterations > 0 ? fmin((double)s->iteration / s->n_iterations, 1) : 0;
        mien_optim_set_rate(s->optim, s->p.adam_rate * (0.1 + 0.45 * (1 + cos(3.14159265358979323846 * at))));
    }
    s->n_evals = 0;
    int ret = mien_optim_step(s->optim, mieni_style_objective, s, s->x);
    if (ret < 0)
        return ret == MIEN_ERR(EDOM) ? mien_fail(s->p.log, ret, "style: the loss is not finite") : ret;
    s->iteration++;
    report_loss(s);
    if (loss)
        *loss = s->loss;
    return ret;
}

void mien_style_get(const MienStyle *s, float *rgb)
{
    for (size_t i = 0; i < s->n; i++)
        rgb[i] = s->x[i] > 0 ? (s->x[i] < 1 ? s->x[i] : 1) : 0;
}

int mien_style_evaluate(MienStyle *s, const float *rgb, MienStyleLoss *loss, float *gradient)
{
    if (!s->have_content)
        return mien_fail(s->p.log, MIEN_ERR(EINVAL), "style: an evaluation without content");
    MienStyleLoss unasked;
    return mieni_style_evaluate(s, rgb, loss ? loss : &unasked, gradient);
}
