/* `mien help`, `mien help CMD` and the man page, all made from the commands' records. */
#include <math.h>
#include <string.h>

#include "config.h"
#include "tool.h"

#define COLUMNS 100

static int is_new_group(int i)
{
    return !i || strcmp(command_at(i)->group, command_at(i - 1)->group) != 0;
}

void help_all(FILE *f)
{
    fprintf(f, "mien %s: names for faces.\n\nUsage: mien COMMAND [OPTION]... [ARGUMENT]...\n", MIEN_VERSION);
    const Command *c;
    for (int i = 0; (c = command_at(i)); i++) {
        if (is_new_group(i))
            fprintf(f, "\n%s:\n", c->group);
        fprintf(f, "  %-24s %s\n", c->name, c->summary);
    }
    fprintf(f, "\n'mien help COMMAND' explains one, 'mien help --man' writes the man page.\n"
               "Exit status: 0 done, or yes; 1 the answer is no; 2 error.\n");
}

void help_family(FILE *f, const char *word)
{
    const Command *c;
    size_t len = strlen(word);
    fprintf(f, "Usage: mien %s COMMAND [OPTION]... [ARGUMENT]...\n\n", word);
    for (int i = 0; (c = command_at(i)); i++)
        if (!strncmp(c->name, word, len) && c->name[len] == ' ')
            fprintf(f, "  mien %-20s %s\n", c->name, c->summary);
    fprintf(f, "\n'mien help %s COMMAND' explains one.\n", word);
}

/* Prints words from text, broken at COLUMNS, each line after `indent` blanks; column is where the cursor stands. */
static void wrap(FILE *f, const char *text, size_t n_bytes, int indent, int column)
{
    size_t i = 0;
    while (i < n_bytes) {
        size_t n = strcspn(text + i, " ");
        if (n > n_bytes - i)
            n = n_bytes - i;
        int width = 0; /* characters, not bytes */
        for (size_t k = 0; k < n; k++)
            width += ((unsigned char)text[i + k] & 0xc0) != 0x80;
        if (column > indent && column + 1 + width > COLUMNS) {
            fprintf(f, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', f);
            column++;
        }
        fwrite(text + i, 1, n, f);
        column += width;
        i += n + (i + n < n_bytes);
    }
    fputc('\n', f);
}

/* "--face N", "--json" with its letter. */
static void option_label(char *buf, size_t bytes, const Option *o)
{
    char letter[8] = "    ";
    if (o->letter)
        snprintf(letter, sizeof(letter), "-%c, ", o->letter);
    snprintf(buf, bytes, "%s--%s%s%s", letter, o->name, o->arg ? " " : "", o->arg ? o->arg : "");
}

/* "a whole number from 1 to 256; unit; default 3" */
static void option_facts(char *buf, size_t bytes, const Option *o)
{
    char range[160] = "", def[160] = "";
    if (o->type == OPT_INT || o->type == OPT_REAL)
        snprintf(range, sizeof(range), "%.*f to %.*f%s%s", o->type == OPT_INT || o->min == floor(o->min) ? 0 : 2, o->min,
                 o->type == OPT_INT || o->max == floor(o->max) ? 0 : 2, o->max, o->unit ? " " : "", o->unit ? o->unit : "");
    if (o->type == OPT_WORD)
        snprintf(range, sizeof(range), "%s", o->words);
    if (o->def_text)
        snprintf(def, sizeof(def), "default: %s", o->def_text);
    else if (o->type == OPT_INT || o->type == OPT_REAL)
        snprintf(def, sizeof(def), "default: %g", o->def);
    else if (o->type == OPT_WORD) {
        const char *w = o->words;
        for (int i = 0; i < (int)o->def; i++)
            w += strcspn(w, "|") + 1;
        snprintf(def, sizeof(def), "default: %.*s", (int)strcspn(w, "|"), w);
    }
    snprintf(buf, bytes, "%s%s%s%s%s", *range || *def ? " [" : "", range, *range && *def ? "; " : "", def, *range || *def ? "]" : "");
}

static void option_rows(FILE *f, const Option *table, const Command *c)
{
    for (const Option *o = table; o && o->name; o++) {
        char label[64], facts[400], text[1200];
        unsigned bit = table == shared_options ? shared_option_bit(o) : 0;
        if (bit && !(c->takes & bit))
            continue;
        option_label(label, sizeof(label), o);
        option_facts(facts, sizeof(facts), o);
        snprintf(text, sizeof(text), "%s%s", o->help, facts);
        if (strlen(label) > 22)
            fprintf(f, "  %s\n%25s", label, "");
        else
            fprintf(f, "  %-22s ", label);
        wrap(f, text, strlen(text), 25, 25);
    }
}

/* Paragraphs are lines; a line that begins with "$ " is an example. */
static void paragraphs(FILE *f, const char *text)
{
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, "\n");
        if (!strncmp(p, "$ ", 2)) {
            fprintf(f, "  %.*s\n", (int)n, p);
        } else {
            fputc('\n', f);
            wrap(f, p, n, 0, 0);
            if (p[n] && !strncmp(p + n + 1, "$ ", 2))
                fputc('\n', f);
        }
        p += n + (p[n] != 0);
    }
}

/* A summary as a sentence: a capital, and a full stop unless it asks. */
static void sentence(char *buf, size_t bytes, const char *summary)
{
    size_t n = strlen(summary);
    snprintf(buf, bytes, "%c%s%s", *summary >= 'a' && *summary <= 'z' ? *summary - 32 : *summary, summary + 1,
             n && summary[n - 1] == '?' ? "" : ".");
}

void help_command(FILE *f, const Command *c)
{
    fprintf(f, "Usage: mien %s [OPTION]...%s%s\n\n", c->name, *c->args ? " " : "", c->args);
    char head[300];
    sentence(head, sizeof(head), c->summary);
    fprintf(f, "%s\n", head);
    if (c->text)
        paragraphs(f, c->text);
    fprintf(f, "\nOptions:\n");
    option_rows(f, c->options, c);
    option_rows(f, shared_options, c);
    fprintf(f, "\nExit status:\n");
    if (c->statuses)
        wrap(f, c->statuses, strlen(c->statuses), 0, 0);
    else
        fprintf(f, "0 done; 2 error.\n");
}

/* ---- man page (troff, man macros) */

/* Text for troff: backslashes and leading dots are escaped, hyphens stay copyable. */
static void troff(FILE *f, const char *s, size_t n)
{
    for (size_t i = 0; i < n && s[i]; i++) {
        if (s[i] == '\\')
            fputs("\\e", f);
        else if (s[i] == '-')
            fputs("\\-", f);
        else if ((s[i] == '.' || s[i] == '\'') && (!i || s[i - 1] == '\n'))
            fprintf(f, "\\&%c", s[i]);
        else
            fputc(s[i], f);
    }
}

static void troff_line(FILE *f, const char *s)
{
    troff(f, s, strlen(s));
    fputc('\n', f);
}

static void man_options(FILE *f, const Option *table, unsigned takes)
{
    for (const Option *o = table; o && o->name; o++) {
        char facts[400];
        unsigned bit = table == shared_options ? shared_option_bit(o) : 0;
        if (bit && !(takes & bit))
            continue;
        fprintf(f, ".TP\n");
        if (o->letter)
            fprintf(f, "\\fB\\-%c\\fR, ", o->letter);
        fprintf(f, "\\fB\\-\\-");
        troff(f, o->name, strlen(o->name));
        fprintf(f, "\\fR");
        if (o->arg)
            fprintf(f, " \\fI%s\\fR", o->arg);
        fputc('\n', f);
        option_facts(facts, sizeof(facts), o);
        troff(f, o->help, strlen(o->help));
        troff_line(f, facts);
    }
}

static void man_paragraphs(FILE *f, const char *text)
{
    int example = 0;
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, "\n");
        int ex = !strncmp(p, "$ ", 2);
        if (ex && !example)
            fprintf(f, ".PP\n.nf\n.RS\n");
        if (!ex && example)
            fprintf(f, ".RE\n.fi\n");
        if (!ex)
            fprintf(f, ".PP\n");
        troff(f, p, n);
        fputc('\n', f);
        example = ex;
        p += n + (p[n] != 0);
    }
    if (example)
        fprintf(f, ".RE\n.fi\n");
}

static void man_command(FILE *f, const Command *c)
{
    fprintf(f, ".SS \"mien ");
    troff(f, c->name, strlen(c->name));
    fprintf(f, " [OPTION]...%s", *c->args ? " " : "");
    troff(f, c->args, strlen(c->args));
    fprintf(f, "\"\n");
    char head[300];
    sentence(head, sizeof(head), c->summary);
    troff_line(f, head);
    if (c->text)
        man_paragraphs(f, c->text);
    man_options(f, c->options, 0);
    char takes[200] = "";
    for (const Option *o = shared_options; o->name; o++)
        if (shared_option_bit(o) & c->takes)
            snprintf(takes + strlen(takes), sizeof(takes) - strlen(takes), "%s--%s", *takes ? ", " : "", o->name);
    if (*takes) {
        fprintf(f, ".PP\nAlso: ");
        troff(f, takes, strlen(takes));
        fprintf(f, ".\n");
    }
    if (c->statuses) {
        fprintf(f, ".PP\nExit status: ");
        troff_line(f, c->statuses);
    }
}

void help_man(FILE *f)
{
    fprintf(f, ".\\\" Written by `mien help --man`; do not edit.\n"
               ".TH MIEN 1 \"\" \"mien %s\" \"mien\"\n.SH NAME\nmien \\- names for faces\n"
               ".SH SYNOPSIS\n.B mien\n.I COMMAND\n[\\fIOPTION\\fR]... [\\fIARGUMENT\\fR]...\n"
               ".SH DESCRIPTION\n", MIEN_VERSION);
    fprintf(f, "A gallery is one SQLite file that holds, for every person, their name and one or more templates: 128 numbers computed\n"
               "from a picture of the face. The pictures themselves are not kept. The\n.B mien\ncommand fills and cleans galleries,\n"
               "compares faces (1:1), says who somebody is (1:K) and measures how well it does so. The FFmpeg filter\n.B facetag\n"
               "reads the same galleries.\n.PP\nThe distance between two faces is the length of the difference of their templates,\n"
               "0 for the same picture and up to 2; the same person is assumed up to a threshold (tau).\n"
               ".SH COMMANDS\n");
    const Command *c;
    for (int i = 0; (c = command_at(i)); i++)
        man_command(f, c);
    fprintf(f, ".SH COMMON OPTIONS\nOptions may stand anywhere; \\-\\- ends them.\n");
    man_options(f, shared_options, ~0u);
    fprintf(f, ".SH EXIT STATUS\n.TP\n.B 0\nDone; or, to a question: yes.\n.TP\n.B 1\nThe question was answered and the answer is no:\n"
               "no match, a face that is nobody's, no face found, a picture refused, a test not passed.\n.TP\n.B 2\n"
               "Error: bad arguments, an unreadable file, a damaged gallery; stderr has the reason.\n.PP\n"
               "After SIGINT or SIGTERM the picture in hand is finished, and the command ends by that signal.\n"
               ".SH ENVIRONMENT\n.TP\n.B MIEN_MODELS\nFolder of the networks.\n.TP\n.B XDG_DATA_HOME\n"
               "Where the default gallery lies (mien/gallery.db); ~/.local/share if unset.\n"
               ".SH SEE ALSO\n.BR ffmpeg (1)\n");
}
