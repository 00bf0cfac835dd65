/* SPDX-License-Identifier: Apache-2.0 */
/* load and save */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"
#include "cmd/warren/client.h"
#include "cmd/warren/stream.h"
#include "cmd/warren/warren.h"

static const char load_usage[] = "load [OPTIONS]";
static const char save_usage[] = "save [OPTIONS] IMAGE [IMAGE...]";

struct load {
    int fd;
    struct stream stream;
};

static ssize_t read_archive(void *arg, void *data, size_t size)
{
    const struct load *l = arg;
    ssize_t n;
    do
        n = read(l->fd, data, size);
    while (n < 0 && errno == EINTR);
    return n;
}

static int write_stream(void *arg, const void *data, size_t len)
{
    return stream_write(&((struct load *)arg)->stream, data, len);
}

static int load(const struct warren *w, int fd, const char *name, struct error *err)
{
    struct load l = {.fd = fd};
    struct client_call call = {.method = "POST",
                               .path = "/images/load?quiet=1",
                               .content_type = "application/x-tar",
                               .read = read_archive,
                               .write = write_stream,
                               .arg = &l};
    int r = client_do(w->host, &call, err);
    if (r == -ECANCELED)
        r = fail_plain(err, EIO, "read '%s'", name);
    if (!r && l.stream.error)
        r = fail_plain(err, EINVAL, "%s", l.stream.error);
    stream_done(&l.stream);
    buffer_done(&call.answer);
    return r;
}

int command_load(const struct warren *w, int argc, char **argv)
{
    static const struct option options[] = {{"input", required_argument, NULL, 'i'},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct error err = {0};
    const char *input = NULL;
    for (int c; (c = getopt_long(argc, argv, "i:qh", options, NULL)) != -1;) {
        if (c == 'h')
            return print_usage(load_usage, "Load images from a tar archive or standard input",
                               "  -i, --input string   Read from a file, not from standard input\n"
                               "  -q, --quiet          Suppress the load output\n");
        if (c == 'i')
            input = optarg;
        else if (c != 'q') /* only names are ever shown */
            return complain_flag(load_usage, argv);
    }
    if (optind < argc)
        return complain_arguments("load", "no arguments", load_usage);
    if (!input && isatty(STDIN_FILENO)) {
        fail_plain(&err, EINVAL, "requested load from stdin, but stdin is empty");
        return complain(&err);
    }
    autoclose int fd = input ? open(input, O_RDONLY | O_CLOEXEC) : dup(STDIN_FILENO);
    if (fd < 0)
        fail(&err, errno, "open '%s'", input ? input : "standard input");
    return fd < 0 || load(w, fd, input ? input : "standard input", &err) < 0 ? complain(&err)
                                                                             : EXIT_OK;
}

static int write_archive(void *arg, const void *data, size_t len)
{
    return fd_write_all(*(const int *)arg, data, len);
}

static int save(const struct warren *w, int fd, char *const *names, struct error *err)
{
    auto(buffer) struct buffer path = {0};
    struct client_call call = {.method = "GET", .write = write_archive, .arg = &fd};
    buffer_puts(&path, "/images/get");
    for (; *names; names++)
        if (query_add(&path, "names", *names) < 0)
            return fail(err, ENOMEM, "save");
    call.path = buffer_text(&path);
    int r = client_do(w->host, &call, err);
    return r == -ECANCELED ? fail(err, errno, "write the archive") : r;
}

/* What was there stays until the archive is whole. */
static int save_file(const struct warren *w, const char *output, char *const *names,
                     struct error *err)
{
    autofree char *part = str_format("%s.%d.part", output, getpid());
    autoclose int fd = part ? open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666) : -1;
    if (fd < 0)
        return fail(err, part ? errno : ENOMEM, "create '%s'", output);
    int r = save(w, fd, names, err);
    if (!r && rename(part, output) < 0)
        r = fail(err, errno, "create '%s'", output);
    if (r < 0)
        unlink(part);
    return r;
}

int command_save(const struct warren *w, int argc, char **argv)
{
    static const struct option options[] = {
        {"output", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'}, {0}};
    struct error err = {0};
    const char *output = NULL;
    for (int c; (c = getopt_long(argc, argv, "o:h", options, NULL)) != -1;) {
        if (c == 'h')
            return print_usage(save_usage, "Save one or more images to a tar archive",
                               "  -o, --output string   Write to a file, not to standard output\n");
        if (c != 'o')
            return complain_flag(save_usage, argv);
        output = optarg;
    }
    if (optind == argc)
        return complain_arguments("save", "at least 1 argument", save_usage);
    if (!output && isatty(STDOUT_FILENO)) {
        fail_plain(&err, EINVAL,
                   "cowardly refusing to save to a terminal. Use the -o flag or redirect");
        return complain(&err);
    }
    int r = output ? save_file(w, output, argv + optind, &err)
                   : save(w, STDOUT_FILENO, argv + optind, &err);
    return r < 0 ? complain(&err) : EXIT_OK;
}
