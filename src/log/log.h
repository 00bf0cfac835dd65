/* SPDX-License-Identifier: Apache-2.0 */
/* log: container logs. Who holds a container's pipe writes its log; so this room is plain C without
 * libraries (it is linked into the static keeper) and without threads: every call is the caller's
 * thread's, and writes block no longer than the disk does.
 *
 * A target comes as an address: log+cri:///PATH and log+json:///PATH, with rotation in the query
 * (?max-size=10485760&max-files=3, docker's json-file options), file:///PATH raw. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum log_format { LOG_NONE, LOG_CRI, LOG_JSON, LOG_RAW };
enum log_stream { LOG_STDOUT, LOG_STDERR };

struct log_target {
    enum log_format format;
    char *path;         /* absolute; owned */
    uint64_t max_size;  /* bytes; 0: never rotated */
    unsigned max_files; /* kept beside the current one: path.1, path.2, ...; with max_size */
};

/* "" is LOG_NONE. An address that is none of the above is -EINVAL with what was expected. */
int log_target_parse(const char *address, struct log_target *ret, struct error *err);
void log_target_done(struct log_target *t);
/* The address that log_target_parse() reads; in PATH, '%' and '?' are written %25 and %3F.
 * malloced; NULL where memory is out. */
char *log_target_address(const struct log_target *t);

/* A container's log. Lines are cut at LOG_LINE_MAX: the pieces are tagged P but the last F (CRI),
 * or lack their newline (JSON). A rest without newline is written at flush. fd is -1 while closed:
 * it is opened at need, so that many logs need no descriptor at rest (log_writer_rest). */
enum { LOG_LINE_MAX = 16384 };
struct log_writer {
    struct log_target target;
    int fd;
    uint64_t size;
    struct log_pending {
        uint8_t *data; /* the unfinished line; NULL while there is none */
        size_t len;
    } pending[2];
    bool regular; /* what is open is a regular file */
    bool failed;  /* the last write failed; told once, tried again with the next line */
};

/* Takes target over. Creates the file (0640, parents must exist) so that readers find it; -errno
 * where it cannot. */
int log_writer_init(struct log_writer *w, struct log_target *target, struct error *err);
void log_writer_done(struct log_writer *w);
/* Never loses what it was given but where the disk refuses it: then err says so and the lines are
 * dropped. Failures that follow one another are told by the first alone (the others return 0). The
 * file always ends with a whole record. */
int log_writer_write(struct log_writer *w, enum log_stream stream, const void *data, size_t len,
                     int64_t wall_ns, struct error *err);
/* Writes unfinished lines (the container has ended). */
int log_writer_flush(struct log_writer *w, int64_t wall_ns, struct error *err);
/* Closes the descriptor until the next line. */
void log_writer_rest(struct log_writer *w);
/* Opens path anew after somebody has renamed the file (CRI's ReopenContainerLog). */
int log_writer_reopen(struct log_writer *w, struct error *err);
