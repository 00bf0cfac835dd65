/* SPDX-License-Identifier: Apache-2.0 */
/* logs: reads the file that ContainerStatus names, as kubelet and crictl do: "TIME STREAM TAG TEXT" a line, TAG P where
 * the text is a part of a longer line, F at its end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "cmd/warren/cri.h"
#include "loop/loop.h"

enum { CHUNK = 64 << 10, POLL_MS = 100, STATE_POLLS = 5 };

struct logs {
    const char *id, *path, *stream;
    bool follow, timestamps;
    int64_t tail, limit, since; /* since: nanoseconds of wall time, INT64_MIN for all */
    struct buffer partial;      /* the beginning of a line */
    bool middle;                /* of a text printed in parts */
};

/* "2006-01-02T15:04:05.999Z" or with an offset; false where it is none. */
static bool parse_time(const char *text, size_t len, int64_t *ret)
{
    char copy[64];
    struct tm tm = {0};
    if (len >= sizeof copy)
        return false;
    memcpy(copy, text, len);
    copy[len] = 0;
    const char *rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!rest)
        return false;
    int64_t ns = (int64_t)timegm(&tm) * NSEC_PER_SEC;
    if (*rest == '.') {
        int64_t unit = NSEC_PER_SEC / 10;
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
            ns += (*rest - '0') * unit;
    }
    int hours, minutes;
    if (*rest == '+' || *rest == '-') {
        if (sscanf(rest + 1, "%2d:%2d", &hours, &minutes) != 2)
            return false;
        int64_t offset = (hours * 3600 + minutes * 60) * NSEC_PER_SEC;
        ns += *rest == '-' ? offset : -offset;
    } else if (*rest && !str_eq(rest, "Z")) {
        return false;
    }
    *ret = ns;
    return true;
}

/* A time, or how long ago: "42m", "1h30m", "10s". */
static int parse_since(const char *text, int64_t *ret, struct error *err)
{
    int64_t ago = 0;
    if (parse_time(text, strlen(text), ret))
        return 0;
    for (const char *p = text; *p;) {
        char *end;
        double value = strtod(p, &end);
        double unit = *end == 's' ? 1 : *end == 'm' ? 60 : *end == 'h' ? 3600 : 0;
        if (end == p || unit == 0 || value < 0 || value > 1e9)
            return fail_plain(err, EINVAL,
                              "--since: expected 42m or 2013-01-02T13:23:37, found "
                              "'%s'",
                              text);
        ago += (int64_t)(value * unit * (double)NSEC_PER_SEC);
        p = end + 1;
    }
    *ret = clock_wall_ns() - ago;
    return 0;
}

/* One line of the file without its newline. False once the limit of bytes is reached. */
static bool print_line(struct logs *l, const char *line, size_t len)
{
    const char *fields[3];
    size_t lengths[3];
    const char *p = line, *end = line + len;
    for (size_t i = 0; i < 3; i++) {
        const char *space = memchr(p, ' ', (size_t)(end - p));
        /* an empty text may be without the last space */
        if (!space && i < 2)
            return true;
        fields[i] = p;
        lengths[i] = (size_t)((space ? space : end) - p);
        p = space ? space + 1 : end;
    }
    int64_t time;
    bool partial = lengths[2] >= 1 && fields[2][0] == 'P';
    bool is_error = lengths[1] == 6 && memcmp(fields[1], "stderr", 6) == 0;
    bool first = !l->middle;
    if (l->since != INT64_MIN && parse_time(fields[0], lengths[0], &time) && time < l->since)
        return true;
    if (l->stream &&
        (strlen(l->stream) != lengths[1] || memcmp(fields[1], l->stream, lengths[1]) != 0))
        return true;
    FILE *to = is_error ? stderr : stdout;
    size_t n = (size_t)(end - p);
    if (l->limit >= 0 && n > (size_t)l->limit)
        n = (size_t)l->limit;
    if (l->timestamps && first)
        fprintf(to, "%.*s ", (int)lengths[0], fields[0]);
    fwrite(p, 1, n, to);
    if (!partial)
        fputc('\n', to);
    l->middle = partial;
    if (l->limit < 0)
        return true;
    l->limit = l->limit > (int64_t)n + 1 ? l->limit - (int64_t)n - 1 : 0;
    return l->limit > 0;
}

/* Prints the whole lines of data, keeps the rest. */
static bool print_data(struct logs *l, const char *data, size_t len)
{
    const char *end = data + len;
    while (data < end) {
        const char *newline = memchr(data, '\n', (size_t)(end - data));
        size_t n = (size_t)((newline ? newline : end) - data);
        if (buffer_append(&l->partial, data, n) < 0)
            return false;
        if (!newline)
            break;
        bool more = print_line(l, (const char *)l->partial.data, l->partial.len);
        buffer_clear(&l->partial);
        if (!more)
            return false;
        data = newline + 1;
    }
    return true;
}

/* Moves to where the last lines begin. */
static int seek_tail(const struct logs *l, int fd, struct error *err)
{
    autofree char *chunk = malloc(CHUNK);
    off_t at = lseek(fd, 0, SEEK_END);
    int64_t lines = -1; /* the newline at the very end closes the last one */
    if (!chunk || at < 0)
        return fail(err, chunk ? errno : ENOMEM, "read '%s'", l->path);
    if (l->tail == 0)
        return 0;
    while (at > 0) {
        size_t n = at < CHUNK ? (size_t)at : CHUNK;
        at -= (off_t)n;
        if (pread(fd, chunk, n, at) != (ssize_t)n)
            return fail(err, EIO, "read '%s'", l->path);
        for (size_t i = n; i > 0; i--)
            if (chunk[i - 1] == '\n' && ++lines == l->tail)
                return lseek(fd, at + (off_t)i, SEEK_SET) < 0 ? fail(err, errno, "seek") : 0;
    }
    return lseek(fd, 0, SEEK_SET) < 0 ? fail(err, errno, "seek") : 0;
}

static int status_of(struct cri *c, const char *id, Runtime__V1__ContainerStatus **ret,
                     struct error *err)
{
    Runtime__V1__ContainerStatusRequest q = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;
    Runtime__V1__ContainerStatusResponse *a;
    q.container_id = (char *)(uintptr_t)id;
    int r = cri_call(c, "ContainerStatus", CRI_AT_ONCE, &q, &a, err);
    if (r < 0)
        return r;
    *ret = a->status;
    return a->status ? 0 : fail_plain(err, EBADMSG, "container %s is without a status", id);
}

/* Whether another file is at the path now, as after a rotation. */
static bool rotated(const struct logs *l, int fd)
{
    struct stat here, there;
    return fstat(fd, &here) == 0 && stat(l->path, &there) == 0 && here.st_ino != there.st_ino;
}

/* Reads what is there; 0 at the end, 1 where no more is wanted. */
static int read_rest(struct logs *l, int fd, struct error *err)
{
    autofree char *chunk = malloc(CHUNK);
    ssize_t n = -1;
    while (chunk && (n = read(fd, chunk, CHUNK)) > 0)
        if (!print_data(l, chunk, (size_t)n))
            return 1;
    fflush(stdout);
    fflush(stderr);
    return n < 0 ? fail(err, chunk ? errno : ENOMEM, "read '%s'", l->path) : 0;
}

static int follow(struct cri *c, struct logs *l, int *fd, struct error *err)
{
    Runtime__V1__ContainerStatus *status;
    for (unsigned i = 1;; i++) {
        bool ended = false;
        if (i % STATE_POLLS == 0) {
            int r = status_of(c, l->id, &status, NULL);
            ended = r < 0 || status->state != RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING;
        }
        int r = read_rest(l, *fd, err);
        if (r != 0)
            return r < 0 ? r : 0;
        if (rotated(l, *fd)) {
            close_fd(fd);
            *fd = open(l->path, O_RDONLY | O_CLOEXEC);
            if (*fd < 0)
                return fail(err, errno, "open '%s'", l->path);
            continue;
        }
        if (ended)
            return 0;
        co_sleep(POLL_MS * NSEC_PER_MSEC);
    }
}

static int print_logs(struct cri *c, struct logs *l, struct error *err)
{
    Runtime__V1__ContainerStatus *status;
    int r = status_of(c, l->id, &status, err);
    if (r < 0)
        return r;
    if (str_empty(status->log_path))
        return fail_plain(err, ENOENT, "the container has not set log path");
    l->path = status->log_path;
    autoclose int fd = open(l->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT &&
        status->state == RUNTIME__V1__CONTAINER_STATE__CONTAINER_CREATED)
        return fail_plain(err, ENOENT, "container is not started yet, its log does not exist");
    if (fd < 0)
        return fail(err, errno, "open '%s'", l->path);
    if (l->tail >= 0)
        r = seek_tail(l, fd, err);
    if (r == 0)
        r = l->follow ? follow(c, l, &fd, err) : read_rest(l, fd, err);
    return r < 0 ? r : 0;
}

int cri_logs(struct cri *c, int argc, char **argv, struct error *err)
{
    struct logs l = {.tail = -1, .limit = -1, .since = INT64_MIN};
    const char *since = NULL;
    bool previous = false, reopen = false;
    const struct cri_option options[] = {
        {"follow", 'f', CRI_FLAG, &l.follow, "Follow log output"},
        {"previous", 'p', CRI_FLAG, &previous, "Not supported yet"},
        {"reopen", 'r', CRI_FLAG, &reopen, "Reopen the container logs"},
        {"tail", 0, CRI_NUMBER, &l.tail, "Number of lines to show from the end of the logs"},
        {"limit-bytes", 0, CRI_NUMBER, &l.limit, "Maximum bytes of logs to return"},
        {"since", 0, CRI_TEXT, &since, "Show logs since a time, or for so long (42m)"},
        {"timestamps", 't', CRI_FLAG, &l.timestamps, "Show timestamps"},
        {"stream", 's', CRI_TEXT, &l.stream, "Show only stdout or stderr"},
    };
    int rest, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (argc - rest != 1)
        return cri_wrong_arguments(c, err);
    if (previous)
        return fail_plain(err, EOPNOTSUPP, "logs --previous is not supported yet");
    l.id = argv[rest];
    if (reopen) {
        Runtime__V1__ReopenContainerLogRequest q = RUNTIME__V1__REOPEN_CONTAINER_LOG_REQUEST__INIT;
        q.container_id = argv[rest];
        r = cri_call(c, "ReopenContainerLog", CRI_AT_ONCE, &q, NULL, err);
        return r < 0 ? fail_in(err, r, "reopen container logs") : 0;
    }
    if (since)
        r = parse_since(since, &l.since, err);
    if (r == 0)
        r = print_logs(c, &l, err);
    buffer_done(&l.partial);
    return r;
}
