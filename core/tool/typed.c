/* Words and numbers that people type: whole strings or nothing, and what a mistyped word may have meant. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

int parse_int64(const char *s, int64_t *v)
{
    char *end;
    errno = 0;
    long long x = strtoll(s, &end, 10);
    if (end == s || *end || errno || (*s != '-' && *s != '+' && (*s < '0' || *s > '9')))
        return -1;
    *v = x;
    return 0;
}

int parse_real(const char *s, double *v)
{
    char *end;
    errno = 0;
    double x = strtod(s, &end);
    /* strtod also takes blanks, hexadecimal, inf and nan; none of these is a number to type here */
    if (end == s || *end || strspn(s, "0123456789+-.eE") != strlen(s) || !isfinite(x))
        return -1;
    *v = x;
    return 0;
}

int parse_size(const char *s, int *w_px, int *h_px)
{
    char part[2][8];
    int64_t v[2];
    if (sscanf(s, "%7[0-9]x%7[0-9]", part[0], part[1]) != 2 || strlen(s) != strlen(part[0]) + 1 + strlen(part[1]) ||
        parse_int64(part[0], &v[0]) || parse_int64(part[1], &v[1]) || v[0] < 1 || v[1] < 1 || v[0] > 32768 || v[1] > 32768)
        return -1;
    *w_px = (int)v[0];
    *h_px = (int)v[1];
    return 0;
}

/* Damerau–Levenshtein distance (adjacent swaps count one) of words shorter than 40 bytes. */
static int edit_distance(const char *a, const char *b)
{
    int la = (int)strlen(a), lb = (int)strlen(b);
    int d[41][41];
    if (la > 40 || lb > 40)
        return INT_MAX;
    for (int i = 0; i <= la; i++) {
        for (int j = 0; j <= lb; j++) {
            if (!i || !j) {
                d[i][j] = i + j;
                continue;
            }
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best)
                best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best)
                best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[la][lb];
}

const char *nearest_word(const char *typed, const char *const *words, int n)
{
    const char *best = NULL;
    int best_d = 1 + (int)strlen(typed) / 3; /* one slip in three letters still counts as meant */
    for (int i = 0; i < n; i++) {
        int d = edit_distance(typed, words[i]);
        if (d <= best_d && (!best || d < best_d)) {
            best = words[i];
            best_d = d;
        }
    }
    if (!best && strlen(typed) >= 2) /* the beginning of a word */
        for (int i = 0; i < n && !best; i++)
            if (!strncmp(words[i], typed, strlen(typed)))
                best = words[i];
    return best;
}
