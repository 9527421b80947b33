/* Runs a fuzz target over files and folders given as arguments, without a fuzzing engine: `make check` replays each corpus. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static int n_run;

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return 1;
    }
    fseek(f, 0, SEEK_END);
    long bytes = ftell(f);
    rewind(f);
    /* Exactly as long as the file, so that a sanitizer sees the first byte read past its end. */
    uint8_t *data = malloc(bytes > 0 ? (size_t)bytes : 1);
    if (!data || bytes < 0 || fread(data, 1, (size_t)bytes, f) != (size_t)bytes) {
        fprintf(stderr, "%s: cannot read\n", path);
        fclose(f);
        free(data);
        return 1;
    }
    fclose(f);
    LLVMFuzzerTestOneInput(data, (size_t)bytes);
    free(data);
    n_run++;
    return 0;
}

static int run_path(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        perror(path);
        return 1;
    }
    if (!S_ISDIR(st.st_mode))
        return run_file(path);
    struct dirent **entry;
    int n = scandir(path, &entry, NULL, alphasort), bad = n < 0;
    for (int i = 0; i < n; i++) {
        char sub[4096];
        snprintf(sub, sizeof(sub), "%s/%s", path, entry[i]->d_name);
        if (entry[i]->d_name[0] != '.')
            bad |= run_path(sub);
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    return bad;
}

int main(int argc, char **argv)
{
    int bad = 0;
    for (int i = 1; i < argc; i++)
        bad |= run_path(argv[i]);
    printf("%s %d inputs replayed\n", bad || !n_run ? "not ok" : "ok", n_run);
    return bad || !n_run;
}
