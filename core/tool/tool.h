/* tool.h — what the files of the mien command share.
 *
 * A command is one const record: name, option table, text, function. The tables make the parser, `mien help CMD` and the
 * man page. cmd_*.c hold the commands (kin share a file), the rest are small services.
 */
#ifndef MIEN_TOOL_H
#define MIEN_TOOL_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "mien/common.h"
#include "mien/error.h"
#include "mien/log.h"

/* ---- exit statuses */
enum {
    STATUS_OK = 0,    /* done; the answer is yes */
    STATUS_NO = 1,    /* the question was answered, and the answer is no: no match, nobody recognised, a picture refused */
    STATUS_ERROR = 2, /* no answer: bad arguments, unreadable file, damaged gallery … */
};

/* ---- options */
typedef enum OptType {
    OPT_FLAG,  /* int, 1 when given */
    OPT_COUNT, /* int, how often it was given */
    OPT_INT,   /* int */
    OPT_REAL,  /* double */
    OPT_TEXT,  /* const char *, borrowed from argv; NULL when not given */
    OPT_WORD,  /* int, index into words */
    OPT_LIST,  /* TextList: given several times, in that order */
} OptType;

typedef struct TextList {
    const char *item[64]; /* borrowed from argv */
    int n;
} TextList;

typedef struct Option {
    const char *name; /* without the dashes; NULL ends a table */
    char letter;      /* short form, or 0 */
    OptType type;
    size_t offset;    /* into the command's options */
    double def, min, max;
    const char *words; /* OPT_WORD: "one|two|three" */
    const char *arg;   /* name of the value in help */
    const char *unit;  /* NULL: none */
    const char *def_text; /* the default in words, where the number alone would not tell; NULL: print def */
    const char *help;
} Option;

/* offsetof that refuses a field of another type */
#define OPT_AT(T, field, type) \
    (offsetof(T, field) + 0 * sizeof(char[_Generic(((T *)0)->field, type: 1, default: -1)]))

#define OPT_FLAG_ROW(T, field, name_, letter_, help_) \
    { .name = name_, .letter = letter_, .type = OPT_FLAG, .offset = OPT_AT(T, field, int), .help = help_ }
#define OPT_INT_ROW(T, field, name_, letter_, def_, min_, max_, unit_, def_text_, help_)                      \
    { .name = name_, .letter = letter_, .type = OPT_INT, .offset = OPT_AT(T, field, int), .def = def_, .min = min_, \
      .max = max_, .arg = "N", .unit = unit_, .def_text = def_text_, .help = help_ }
#define OPT_REAL_ROW(T, field, name_, letter_, def_, min_, max_, unit_, def_text_, help_)                            \
    { .name = name_, .letter = letter_, .type = OPT_REAL, .offset = OPT_AT(T, field, double), .def = def_, .min = min_, \
      .max = max_, .arg = "X", .unit = unit_, .def_text = def_text_, .help = help_ }
#define OPT_TEXT_ROW(T, field, name_, letter_, arg_, def_text_, help_)                                              \
    { .name = name_, .letter = letter_, .type = OPT_TEXT, .offset = OPT_AT(T, field, const char *), .arg = arg_, \
      .def_text = def_text_, .help = help_ }
#define OPT_LIST_ROW(T, field, name_, letter_, arg_, def_text_, help_)                                              \
    { .name = name_, .letter = letter_, .type = OPT_LIST, .offset = OPT_AT(T, field, TextList), .arg = arg_, \
      .def_text = def_text_, .help = help_ }
#define OPT_WORD_ROW(T, field, name_, letter_, def_, words_, help_)                                             \
    { .name = name_, .letter = letter_, .type = OPT_WORD, .offset = OPT_AT(T, field, int), .def = def_, .words = words_, \
      .arg = "WORD", .help = help_ }

/* ---- commands */
typedef struct Command Command;

/* Options that several commands have; a command says by bits which it takes. */
typedef struct Tool {
    const Command *command;
    const char *gallery; /* NULL: the default path */
    const char *models;  /* NULL: environment, then the installed folder */
    const char *encoder;
    const char *presets; /* folders; NULL: environment, then the installed folder */
    int threads; /* > 0 once parsed */
    int json, quiet, verbose, help;
    MienLog log;
} Tool;

enum {
    TAKES_GALLERY = 1,
    TAKES_MODELS = 2,  /* --models */
    TAKES_ENCODER = 4, /* --encoder */
    TAKES_THREADS = 8,
    TAKES_JSON = 16,
    TAKES_PRESETS = 32, /* --presets */
};
#define TAKES_FACES (TAKES_MODELS | TAKES_ENCODER | TAKES_THREADS)

struct Command {
    const char *name;    /* "enroll"; of a family, two words: "model list" */
    const char *group;   /* heading in `mien help` */
    const char *summary; /* one line, lower case, no full stop */
    const char *args;    /* "NAME FILE..." */
    const char *text;    /* paragraphs, a line each, separated by \n; "$ " begins an example */
    const char *statuses; /* what 0, 1, 2 mean here, if there is more to say than the general rule */
    const Option *options; /* NULL: none of its own */
    size_t options_bytes;
    unsigned takes;
    int min_args, max_args; /* max_args < 0: any number */
    int (*run)(Tool *tool, const void *options, int n_args, char **args);
};

/* The registry, in the order in which help lists them; NULL past the end. */
const Command *command_at(int i);
const Command *command_find(const char *name);
extern const Option shared_options[];
unsigned shared_option_bit(const Option *o); /* 0: every command takes it */

/* opt.c: sets defaults in options and tool, parses argv (options anywhere, "--" ends them), moves the rest to the front of
 * argv and returns their number; -1 after a message. */
int options_parse(const Command *command, Tool *tool, void *options, int argc, char **argv);
/* typed.c: the word nearest to what was typed among n, or NULL if none is near. */
const char *nearest_word(const char *typed, const char *const *words, int n);
/* Whole strings only: 0, or -1 if s is no number or (for the first) does not fit. */
int parse_int64(const char *s, int64_t *v);
int parse_real(const char *s, double *v);
/* "640x480", 1 to 32768 each: 0, or -1. */
int parse_size(const char *s, int *w_px, int *h_px);

/* help.c */
void help_all(FILE *f);
void help_command(FILE *f, const Command *command);
void help_family(FILE *f, const char *word); /* all commands of a family */
void help_man(FILE *f);
int family_count(const char *word); /* how many commands begin with this word and a blank */

/* ---- what is printed (out.c) */

/* s made harmless for a terminal: control characters, line breaks, bytes that are not UTF-8 and marks that reverse the reading
 * direction become \n, \x1b, \u{202e}. Valid until the eighth call after it; cut at about 4,000 bytes. */
const char *safe(const char *s);
/* One line "mien: CMD: …" on stderr. Returns STATUS_ERROR. */
int tool_error(const Tool *tool, const char *fmt, ...) MIEN_PRINTF(2, 3);
void tool_warn(const Tool *tool, const char *fmt, ...) MIEN_PRINTF(2, 3); /* not with --quiet */
void tool_note(const Tool *tool, const char *fmt, ...) MIEN_PRINTF(2, 3); /* stdout; not with --quiet or --json */
MienLog tool_log(const Tool *tool);

/* stdout could not be written (full disk, closed pipe): message, STATUS_ERROR; else status. */
int finish_output(const Tool *tool, int status);

/* JSON. Like cJSON's own calls, but strings are made valid UTF-8, numbers have a fixed number of decimals (NaN becomes null), and
 * running out of memory is remembered and reported by json_print. Adding to NULL does nothing, so that a command may build its
 * result in one way whether --json was given or not. */
struct cJSON;
struct cJSON *json_object(void);
struct cJSON *json_array(void);
struct cJSON *json_add_object(struct cJSON *to, const char *key);
struct cJSON *json_add_array(struct cJSON *to, const char *key);
struct cJSON *json_item_object(struct cJSON *array); /* appends an empty object */
void json_str(struct cJSON *to, const char *key, const char *value); /* NULL value: null */
void json_int(struct cJSON *to, const char *key, int64_t value);
void json_real(struct cJSON *to, const char *key, double value, int decimals);
void json_bool(struct cJSON *to, const char *key, int value);
void json_item_real(struct cJSON *array, double value, int decimals);
void json_item_str(struct cJSON *array, const char *value);
void json_move(struct cJSON *to, const char *key, struct cJSON *value); /* value belongs to `to` from now on */
void json_free(struct cJSON *value);
/* As text, without blanks; NULL if memory ran out. */
char *json_text_of(const struct cJSON *value);
void json_text_free(char *text);
/* Prints to stdout with a newline, frees value, returns status or STATUS_ERROR. */
int json_print(const Tool *tool, struct cJSON *value, int status);

/* Progress on stderr when it is a terminal and the work has lasted two seconds: done, rate, time left. */
typedef struct Progress {
    const char *what; /* "pictures" */
    double start_s, shown_s;
    int64_t done, total; /* total 0: unknown */
    double share;        /* of the work, 0..1, where counting doesn't tell the time left; 0: done / total */
    char note[128];      /* shown behind the rate */
    int on;
} Progress;
void progress_begin(Progress *p, const Tool *tool, const char *what, int64_t total);
void progress_step(Progress *p, int64_t done);
void progress_end(Progress *p);
double seconds_now(void); /* monotonic */

/* ---- models (cmd_model.c) */
/* The folder of the networks: --models, $MIEN_MODELS, the installed one. */
const char *models_folder(const Tool *tool);
/* (cmd_model_show.c) A path if `what` looks like one or is a file, else a name or role in the models folder. Negative after a
 * message. */
struct MienModel;
int model_open(const Tool *tool, const char *what, struct MienModel **model);

/* ---- interruption (main.c): SIGINT and SIGTERM set a flag; loops end after the current item. */
int interrupted(void);

#endif
