/* mien publish: facetag's log to an MQTT broker, in the shape of Frigate's messages about faces.
 *
 * One line at a time: it is published with QoS 1, and when the broker has acknowledged it, the place behind it is written to the resume file.
 * What is published twice after a crash is one line at most; nothing is left out. */
#include "config.h"
#include "tool.h"

typedef struct PublishOptions {
    const char *host, *prefix, *camera, *tls_ca, *credentials, *resume;
    int port, once;
    double give_up;
} PublishOptions;

#if CONFIG_MQTT

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cJSON.h>
#include <mosquitto.h>

#include "base/file.h"
#include "event_read.h"
#include "follow.h"

#define QOS 1
#define WAIT_MS 200       /* how long the network is listened to before the log is looked at again */
#define BACK_OFF_MAX_S 60 /* between two attempts to connect */
#define KEEPALIVE_S 60
#define GOODBYE_S 2
#define OPEN_MAX 512      /* tracks whose ids are kept */

/* Frigate's id is one of the tracked object; ours is one of a track of a run. */
typedef struct OpenTrack {
    int64_t track;
    char id[64];
} OpenTrack;

typedef struct Publisher {
    const Tool *tool;
    const PublishOptions *o;
    struct mosquitto *mqtt;
    char *camera, *resume;   /* resume NULL: none is kept */
    char topic[3][600];      /* TOPIC_… */
    Follow follow;
    OpenTrack open[OPEN_MAX];
    int n_open;
    int connected, refused;  /* refused: the broker's reason, MQTT's code */
    int waiting;             /* for the acknowledgement of this message; 0: of none */
    double next_try_s, back_off_s, down_s; /* down_s: since when, of seconds_now() */
    int said_down;
    int64_t n_published;
} Publisher;

enum { TOPIC_FACE, TOPIC_EVENT, TOPIC_AVAILABLE };

/* ---- the broker */

static int fail(const Publisher *p, const char *what, int rc)
{
    return tool_error(p->tool, "%s: %s", what, rc == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(rc));
}

static void on_connect(struct mosquitto *m, void *priv, int rc)
{
    Publisher *p = priv;
    if (rc) {
        p->refused = rc;
        return;
    }
    p->connected = 1;
    p->back_off_s = 1;
    if (p->said_down)
        tool_warn(p->tool, "the broker %s is back", safe(p->o->host));
    p->said_down = 0;
    mosquitto_publish(m, NULL, p->topic[TOPIC_AVAILABLE], 6, "online", QOS, 1);
}

static void on_disconnect(struct mosquitto *m, void *priv, int rc)
{
    Publisher *p = priv;
    (void)m;
    (void)rc;
    if (p->connected)
        p->down_s = seconds_now();
    p->connected = 0;
}

static void on_publish(struct mosquitto *m, void *priv, int mid)
{
    Publisher *p = priv;
    (void)m;
    if (p->waiting == mid)
        p->waiting = 0;
}

/* Once for each time that the broker is away. */
static void say_down(Publisher *p, int rc)
{
    const char *why = rc == MOSQ_ERR_ERRNO ? strerror(errno)
                      : rc == MOSQ_ERR_TLS ? "TLS: it speaks none, or its certificate is not one that --tls-ca vouches for"
                                           : mosquitto_strerror(rc);
    if (!p->said_down && !interrupted())
        tool_warn(p->tool, "cannot reach the broker %s:%d (%s); trying again", safe(p->o->host), p->o->port, why);
    p->said_down = 1;
}

/* One attempt after another, ever further apart. */
static void try_connect(Publisher *p)
{
    double now_s = seconds_now();
    if (now_s < p->next_try_s)
        return;
    p->next_try_s = now_s + p->back_off_s;
    p->back_off_s = fmin(2 * p->back_off_s, BACK_OFF_MAX_S);
    int rc = mosquitto_connect(p->mqtt, p->o->host, p->o->port, KEEPALIVE_S);
    if (rc)
        say_down(p, rc);
}

/* Lets the network do what there is to do, for wait_ms at most. 0, or STATUS_ERROR after a message. */
static int pump(Publisher *p, int wait_ms)
{
    int rc = mosquitto_loop(p->mqtt, wait_ms, 1);
    if (p->refused)
        return tool_error(p->tool, "the broker %s refuses: %s", safe(p->o->host), mosquitto_connack_string(p->refused));
    if (rc == MOSQ_ERR_SUCCESS || interrupted())
        return 0;
    if (p->connected)
        on_disconnect(p->mqtt, p, rc);
    if (rc != MOSQ_ERR_NO_CONN)
        say_down(p, rc);
    if (p->o->give_up > 0 && seconds_now() - p->down_s > p->o->give_up)
        return tool_error(p->tool, "the broker %s:%d was away for %g seconds", safe(p->o->host), p->o->port, p->o->give_up);
    if (seconds_now() < p->next_try_s) /* mosquitto_loop returns at once without a connection */
        nanosleep(&(struct timespec){ .tv_nsec = wait_ms * 1000000L }, NULL);
    try_connect(p);
    return 0;
}

/* Until the broker has it; 1: interrupted. The library sends again, after a new connection, what was not acknowledged. */
static int publish(Publisher *p, const char *topic, const char *text)
{
    int status = 0, rc;
    while (!p->connected && !status && !interrupted())
        status = pump(p, WAIT_MS);
    if (status || interrupted())
        return status ? status : 1;
    rc = mosquitto_publish(p->mqtt, &p->waiting, topic, (int)strlen(text), text, QOS, 0);
    if (rc == MOSQ_ERR_NO_CONN || rc == MOSQ_ERR_CONN_LOST)
        rc = 0; /* it is in the library's queue */
    if (rc)
        return fail(p, "cannot publish", rc);
    while (p->waiting && !status && !interrupted())
        status = pump(p, WAIT_MS);
    return status ? status : p->waiting ? 1 : 0;
}

/* ---- the place where to go on */

static void load_open(Publisher *p, const cJSON *list)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list) {
        const cJSON *track = cJSON_GetObjectItemCaseSensitive(item, "track");
        const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "id"));
        if (p->n_open < OPEN_MAX && cJSON_IsNumber(track) && id && strlen(id) < sizeof(p->open[0].id)) {
            p->open[p->n_open].track = (int64_t)track->valuedouble;
            strcpy(p->open[p->n_open++].id, id);
        }
    }
}

/* 1: *place is where to go on, 0: at the beginning, -1 after a message. */
static int load_place(Publisher *p, FollowPlace *place)
{
    struct stat st;
    uint8_t *text;
    size_t bytes;
    if (!p->resume || (stat(p->resume, &st) < 0 && errno == ENOENT))
        return 0;
    if (mieni_file_read(p->resume, 1 << 20, &text, &bytes, p->tool->log) < 0)
        return -1;
    cJSON *j = cJSON_Parse((const char *)text);
    const cJSON *inode = cJSON_GetObjectItemCaseSensitive(j, "inode"), *offset = cJSON_GetObjectItemCaseSensitive(j, "offset");
    const char *head = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(j, "head"));
    int ok = cJSON_IsNumber(inode) && cJSON_IsNumber(offset) && offset->valuedouble >= 0 && offset->valuedouble < 1e15 && head && strlen(head) == 64;
    if (ok) {
        *place = (FollowPlace){ .inode = (int64_t)inode->valuedouble, .offset = (int64_t)offset->valuedouble };
        strcpy(place->head, head);
        load_open(p, cJSON_GetObjectItemCaseSensitive(j, "open"));
    } else {
        tool_error(p->tool, "%s: no place that mien publish has written; remove it to publish the whole log again", safe(p->resume));
    }
    cJSON_Delete(j);
    mien_free(text);
    return ok ? 1 : -1;
}

static int save_place(const Publisher *p)
{
    FollowPlace place = follow_next_place(&p->follow);
    if (!p->resume)
        return 0;
    struct cJSON *j = json_object(), *open = json_add_array(j, "open");
    json_int(j, "inode", place.inode);
    json_int(j, "offset", place.offset);
    json_str(j, "head", place.head);
    for (int i = 0; i < p->n_open; i++) {
        struct cJSON *k = json_item_object(open);
        json_int(k, "track", p->open[i].track);
        json_str(k, "id", p->open[i].id);
    }
    char *text = json_text_of(j);
    json_free(j);
    int ret = text ? mieni_file_write_atomic(p->resume, text, strlen(text), 0600, p->tool->log) : tool_error(p->tool, "out of memory");
    json_text_free(text);
    return ret ? STATUS_ERROR : 0;
}

/* ---- one event */

static OpenTrack *open_track(Publisher *p, const LoggedEvent *e)
{
    int i = 0;
    while (i < p->n_open && p->open[i].track != e->track)
        i++;
    if (i < p->n_open && e->kind == MIEN_EVENT_ENTER) /* of a later run of ffmpeg */
        p->open[i] = p->open[--p->n_open], i = p->n_open;
    if (i == p->n_open) {
        if (p->n_open == OPEN_MAX) /* the one that is here for longest has gone unseen */
            memmove(p->open, p->open + 1, (size_t)(i = --p->n_open) * sizeof(*p->open));
        p->open[p->n_open++].track = e->track;
        snprintf(p->open[i].id, sizeof(p->open[i].id), "%.6f-%lld", isfinite(e->wall_s) ? e->wall_s : 0, (long long)e->track);
    }
    return &p->open[i];
}

/* Frigate's message about a face. Its name is null where nobody is recognised; the score is the similarity, 0 to 1. */
static char *face_text(const Publisher *p, const LoggedEvent *e, const char *id)
{
    struct cJSON *j = json_object();
    json_str(j, "type", "face");
    json_str(j, "id", id);
    json_str(j, "name", e->name[0] ? e->name : NULL);
    json_real(j, "score", isfinite(e->similarity) ? fmin(fmax(e->similarity, 0), 1) : 0, 4);
    json_str(j, "camera", p->camera);
    json_real(j, "timestamp", e->wall_s, 6);
    char *text = json_text_of(j);
    json_free(j);
    return text;
}

/* 0: the broker has all of it; 1: interrupted before. */
static int publish_line(Publisher *p, const char *line)
{
    LoggedEvent e;
    const char *why;
    if (event_parse(line, &e, &why) < 0) {
        if (line[strspn(line, " \t\r")])
            tool_warn(p->tool, "a line is none of facetag's log and passed over: %s", why);
        return 0;
    }
    OpenTrack *t = open_track(p, &e);
    int ret = publish(p, p->topic[TOPIC_EVENT], line);
    if (!ret && e.kind != MIEN_EVENT_LEAVE && e.status != MIEN_STATUS_UNDECIDED) {
        char *text = face_text(p, &e, t->id);
        ret = text ? publish(p, p->topic[TOPIC_FACE], text) : tool_error(p->tool, "out of memory");
        json_text_free(text);
    }
    if (!ret && e.kind == MIEN_EVENT_LEAVE)
        *t = p->open[--p->n_open];
    p->n_published += !ret;
    return ret;
}

/* ---- the whole */

static int publish_all(Publisher *p)
{
    char *line;
    int ret = 0;
    while (!ret && !interrupted()) {
        int n = follow_line(&p->follow, &line);
        if (n < 0)
            return STATUS_ERROR;
        if (n > 0 && !(ret = publish_line(p, line)))
            ret = save_place(p);
        if (n == 0 && (p->follow.ended || p->o->once))
            break;
        if (n == 0)
            ret = pump(p, WAIT_MS);
    }
    return ret == 1 ? 0 : ret;
}

static void say_goodbye(Publisher *p)
{
    if (!p->connected)
        return;
    double until_s = seconds_now() + GOODBYE_S;
    if (mosquitto_publish(p->mqtt, &p->waiting, p->topic[TOPIC_AVAILABLE], 7, "offline", QOS, 1))
        return;
    while (p->waiting && seconds_now() < until_s && !mosquitto_loop(p->mqtt, 50, 1))
        ;
    mosquitto_disconnect(p->mqtt);
}

/* Two lines, user and password, that nobody else may read; or the environment. */
static int set_credentials(Publisher *p)
{
    char *user = getenv("MIEN_MQTT_USER"), *password = getenv("MIEN_MQTT_PASSWORD");
    uint8_t *text = NULL;
    size_t bytes;
    struct stat st;
    if (p->o->credentials) {
        if (stat(p->o->credentials, &st) >= 0 && (st.st_mode & 077))
            return tool_error(p->tool, "%s may be read by others; chmod 600 it", safe(p->o->credentials));
        if (mieni_file_read(p->o->credentials, 4096, &text, &bytes, p->tool->log) < 0)
            return STATUS_ERROR;
        user = (char *)text;
        password = user + strcspn(user, "\r\n");
        if (*password)
            *password++ = '\0';
        password += strspn(password, "\r\n");
        password[strcspn(password, "\r\n")] = '\0';
    }
    int rc = user && *user ? mosquitto_username_pw_set(p->mqtt, user, password && *password ? password : NULL) : 0;
    if (text)
        memset(text, 0, bytes);
    mien_free(text);
    return rc ? fail(p, "user and password", rc) : 0;
}

/* "hall" of "/var/log/hall.jsonl" */
static char *name_of(const char *log)
{
    const char *base = strrchr(log, '/') ? strrchr(log, '/') + 1 : log;
    char *name = mien_strdup(strcmp(log, "-") ? base : "camera"), *dot = name ? strrchr(name, '.') : NULL;
    if (dot && dot != name)
        *dot = '\0';
    return name;
}

static int set_up(Publisher *p, const char *log)
{
    static const char *const form[] = { "%s/tracked_object_update", "%s/%s/event", "%s/%s/available" };
    const PublishOptions *o = p->o;
    if (!(p->camera = o->camera ? mien_strdup(o->camera) : name_of(log)))
        return tool_error(p->tool, "out of memory");
    if (!*p->camera || strpbrk(p->camera, "+#/") || !*o->prefix || strpbrk(o->prefix, "+#"))
        return tool_error(p->tool, "--camera %s, --prefix %s: a topic's part must not be empty, nor have + or # in it, nor a camera /", safe(p->camera),
                          safe(o->prefix));
    for (int i = 0; i < 3; i++)
        if (snprintf(p->topic[i], sizeof(p->topic[i]), form[i], o->prefix, p->camera) >= (int)sizeof(p->topic[i]))
            return tool_error(p->tool, "--prefix and --camera are too long");
    if (o->resume && !(p->resume = mien_strdup(o->resume)))
        return tool_error(p->tool, "out of memory");
    if (!o->resume && strcmp(log, "-")) {
        size_t bytes = strlen(log) + sizeof(".published");
        if (!(p->resume = mien_malloc(bytes)))
            return tool_error(p->tool, "out of memory");
        snprintf(p->resume, bytes, "%s.published", log);
    }
    p->mqtt = mosquitto_new(NULL, true, p);
    if (!p->mqtt)
        return tool_error(p->tool, "out of memory");
    mosquitto_connect_callback_set(p->mqtt, on_connect);
    mosquitto_disconnect_callback_set(p->mqtt, on_disconnect);
    mosquitto_publish_callback_set(p->mqtt, on_publish);
    int rc = mosquitto_will_set(p->mqtt, p->topic[TOPIC_AVAILABLE], 7, "offline", QOS, true);
    if (!rc && o->tls_ca)
        rc = mosquitto_tls_set(p->mqtt, o->tls_ca, NULL, NULL, NULL, NULL);
    return rc ? fail(p, o->tls_ca ? safe(o->tls_ca) : "the broker's topics", rc) : set_credentials(p);
}

static int run_publish(Tool *tool, const void *options, int n_args, char **args)
{
    const PublishOptions *given = options;
    PublishOptions o = *given;
    static Publisher p; /* its buffer is too large for a stack */
    FollowPlace place;
    (void)n_args;
    o.host = o.host ? o.host : "localhost";
    o.prefix = o.prefix ? o.prefix : "mien";
    o.port = o.port ? o.port : o.tls_ca ? 8883 : 1883;
    p = (Publisher){ .tool = tool, .o = &o, .back_off_s = 1, .down_s = seconds_now(), .follow = { .fd = -1 } };
    mosquitto_lib_init();
    int status = set_up(&p, args[0]), found = status ? 0 : load_place(&p, &place);
    if (!status && found < 0)
        status = STATUS_ERROR;
    if (!status && follow_open(&p.follow, tool, args[0], found ? &place : NULL) < 0)
        status = STATUS_ERROR;
    if (!status && o.once && p.follow.fd < 0)
        status = tool_error(tool, "%s: %s", safe(args[0]), strerror(ENOENT));
    if (!status) {
        try_connect(&p);
        status = publish_all(&p);
        say_goodbye(&p);
        tool_note(tool, "%lld events published", (long long)p.n_published);
    }
    follow_close(&p.follow);
    mosquitto_destroy(p.mqtt);
    mosquitto_lib_cleanup();
    mien_free(p.camera);
    mien_free(p.resume);
    return status;
}

#else

static int run_publish(Tool *tool, const void *options, int n_args, char **args)
{
    (void)options;
    (void)n_args;
    (void)args;
    return tool_error(tool, "this mien was built without MQTT: install libmosquitto-dev and configure it again");
}

#endif

static const Option publish_options[] = {
    OPT_TEXT_ROW(PublishOptions, host, "host", 0, "HOST", "localhost", "the broker"),
    OPT_INT_ROW(PublishOptions, port, "port", 0, 0, 0, 65535, NULL, "1883, with --tls-ca 8883", "its port"),
    OPT_TEXT_ROW(PublishOptions, tls_ca, "tls-ca", 0, "FILE", NULL, "speak TLS, with a broker that this file of certificates vouches for"),
    OPT_TEXT_ROW(PublishOptions, credentials, "credentials", 0, "FILE", "$MIEN_MQTT_USER, $MIEN_MQTT_PASSWORD",
                 "user and password, a line each; the file must be readable by its owner alone"),
    OPT_TEXT_ROW(PublishOptions, prefix, "prefix", 0, "TOPIC", "mien", "what topics begin with"),
    OPT_TEXT_ROW(PublishOptions, camera, "camera", 0, "NAME", "LOG's name without its ending", "the camera, in topics and messages"),
    OPT_TEXT_ROW(PublishOptions, resume, "resume", 0, "FILE", "LOG.published", "where the place that was reached is kept"),
    OPT_FLAG_ROW(PublishOptions, once, "once", 0, "end at the log's end, instead of waiting for more"),
    OPT_REAL_ROW(PublishOptions, give_up, "give-up", 0, 0, 0, 1e9, "s", "0: never", "end when the broker is away for so long"),
    { .name = NULL },
};

const Command cmd_publish = {
    .name = "publish", .group = "Logs", .summary = "facetag's log to an MQTT broker, as Frigate tells of faces", .args = "LOG",
    .text = "Follows the log as tail -F does (- reads standard input) and publishes each event with QoS 1: to PREFIX/tracked_object_update, as "
            "Frigate's message about a face, when a face is recognised or not; and to PREFIX/CAMERA/event as it stands in the log. "
            "PREFIX/CAMERA/available says online or, by the broker if need be, offline.\n"
            "While the broker is away nothing is lost: the log is read on when it is back, at the place that --resume keeps, also by a later run. "
            "What was sent and not acknowledged is sent again, so that an event may come twice.\n"
            "$ mien publish hall.jsonl --host broker.lan --tls-ca ca.pem --credentials mqtt.secret\n"
            "$ mien publish hall.jsonl --prefix frigate --camera hall",
    .statuses = "0 the log's end was reached (--once, standard input); 2 error: refused by the broker, away for --give-up, unreadable log.",
    .options = publish_options, .options_bytes = sizeof(PublishOptions), .min_args = 1, .max_args = 1, .run = run_publish,
};
