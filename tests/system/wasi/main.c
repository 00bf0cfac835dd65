/* SPDX-License-Identifier: Apache-2.0 */
/* wasi-test all PREOPEN [NAME...] | list | exit CODE | raise SIGNAL | readonly PREOPEN | sockets */
#include "wasi.h"

#include <stdlib.h>

uint32_t pre = 3, dir;
const char *name;

static char first[256];
static unsigned failed, checks;

static void note(const char *file, int line, const char *what, uint32_t is, const char *wanted)
{
    char text[256];
    snprintf(text, sizeof text, "%s:%d: %.120s is %d%s", file, line, what, (int)is, wanted);
    printf("# %s: %s\n", name, text);
    if (!failed++)
        strcpy(first, text);
}

void check(const char *file, int line, const char *what, uint32_t is, uint32_t wanted)
{
    char text[32];
    checks++;
    snprintf(text, sizeof text, ", not %d", (int)wanted);
    if (is != wanted)
        note(file, line, what, is, text);
}

void check_either(const char *file, int line, const char *what, uint32_t is, uint32_t a, uint32_t b)
{
    char text[48];
    checks++;
    snprintf(text, sizeof text, ", not %d or %d", (int)a, (int)b);
    if (is != a && is != b)
        note(file, line, what, is, text);
}

uint32_t open_at(uint32_t at, const char *path, uint32_t oflags, uint32_t *fd)
{
    *fd = UINT32_MAX;
    /* who asks to write a directory is refused, by other hosts even where O_DIRECTORY says what it is */
    uint64_t rights = oflags & __WASI_OFLAGS_DIRECTORY ? RIGHTS_DIR : RIGHTS_ALL;
    return wasi_path_open(at, FOLLOW, P(path), oflags, rights, RIGHTS_ALL, 0, fd);
}

uint32_t make_file(const char *path, const char *text)
{
    uint32_t fd, n;
    OK(open_at(dir, path, __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL, &fd));
    if (*text)
        OK(wasi_fd_write(fd, IOV(text, strlen(text)), &n));
    return fd;
}

const char *content(const char *path)
{
    static char text[64];
    uint32_t fd, n;
    if (wasi_path_open(dir, FOLLOW, P(path), 0, __WASI_RIGHTS_FD_READ, 0, 0, &fd))
        return "?";
    uint32_t r = wasi_fd_read(fd, IOV(text, sizeof text - 1), &n);
    wasi_fd_close(fd);
    if (r)
        return "?";
    text[n] = 0;
    return text;
}

uint8_t type_of(const char *path)
{
    __wasi_filestat_t st;
    return wasi_path_filestat_get(dir, 0, P(path), &st) ? 255 : st.filetype;
}

uint64_t now_ns(uint32_t clock)
{
    uint64_t ns = 0;
    OK(wasi_clock_time_get(clock, 1, &ns));
    return ns;
}

static const struct test *const all[] = {process_tests, poll_tests,    fd_tests,    io_tests,
                                         table_tests,   readdir_tests, open_tests,  path_tests,
                                         escape_tests,  change_tests,  memory_tests};

static bool wanted(const char *test, char **names)
{
    if (!*names)
        return true;
    for (; *names; names++)
        if (!strcmp(*names, test))
            return true;
    return false;
}

static void run(const struct test *t)
{
    name = t->name;
    failed = checks = 0;
    wasi_path_create_directory(pre, P(name));
    IS(open_at(pre, name, __WASI_OFLAGS_DIRECTORY, &dir), 0);
    t->run();
    wasi_fd_close(dir);
    if (failed)
        printf("not ok %s: %s (%u of %u checks failed)\n", name, first, failed, checks);
    else
        printf("ok %s\n", name);
}

/* In a directory of a read-only mount that has the file "f", the directory "d" and in it "f". */
static void readonly(void)
{
    uint32_t fd, r;
    __wasi_filestat_t st;
    dir = pre;
    OK(wasi_path_filestat_get(pre, 0, P("d/f"), &st));
    IS(strcmp(content("f"), "text\n"), 0);
    r = wasi_path_open(pre, 0, P("f"), 0, __WASI_RIGHTS_FD_WRITE, 0, 0, &fd);
    EITHER(r, E(ROFS), E(PERM));
    r = wasi_path_open(pre, 0, P("f"), __WASI_OFLAGS_TRUNC, __WASI_RIGHTS_FD_READ, 0, 0, &fd);
    EITHER(r, E(ROFS), E(PERM));
    EITHER(open_at(pre, "new", __WASI_OFLAGS_CREAT, &fd), E(ROFS), E(PERM));
    EITHER(wasi_path_create_directory(pre, P("new")), E(ROFS), E(PERM));
    EITHER(wasi_path_unlink_file(pre, P("f")), E(ROFS), E(PERM));
    EITHER(wasi_path_remove_directory(pre, P("d")), E(ROFS), E(PERM));
    EITHER(wasi_path_rename(pre, P("f"), pre, P("g")), E(ROFS), E(PERM));
    EITHER(wasi_path_symlink(P("f"), pre, P("s")), E(ROFS), E(PERM));
    EITHER(wasi_path_link(pre, 0, P("f"), pre, P("l")), E(ROFS), E(PERM));
    EITHER(wasi_path_filestat_set_times(pre, 0, P("f"), 1, 1, 5), E(ROFS), E(PERM));
    IS(strcmp(content("f"), "text\n"), 0);
}

int main(int argc, char **argv)
{
    const char *job = argc > 1 ? argv[1] : "";
    uint32_t number = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    if (!strcmp(job, "exit"))
        wasi_proc_exit(number);
    if (!strcmp(job, "raise"))
        printf("raise: %u\n", wasi_proc_raise(number));
    if (!strcmp(job, "readonly")) {
        name = job;
        pre = number;
        readonly();
    }
    if (!strcmp(job, "sockets"))
        check_sockets();
    if (name)
        printf(failed ? "not ok %s: %s\n" : "ok %s\n", name, first);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (const struct test *t = all[i]; t->name; t++) {
            if (!strcmp(job, "list"))
                puts(t->name);
            pre = number;
            if (!strcmp(job, "all") && wanted(t->name, argv + 3))
                run(t);
        }
    return 0;
}
