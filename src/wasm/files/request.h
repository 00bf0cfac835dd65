/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker asks its files process, a packet a request and a packet an answer. Both are of one program, so numbers lie as they do in
 * memory; lengths and strings are checked, since a worker may be taken over, and an answer's since nothing is lost by it.
 *
 * A request names a container by the number that the files process gave it, and a place in its tree by a directory (absolute and plain,
 * "" is the root) and a path below it. Answers carry the request's tag. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/buffer.h"

enum files_op {
    FILES_OPEN =
        1, /* answer: FILES_IS_*, files_stat; of a directory its path; of a file a descriptor */
    FILES_STAT,     /* files_stat */
    FILES_READLINK, /* the target; its length is the code */
    FILES_MKDIR,
    FILES_UNLINK,
    FILES_RMDIR,
    FILES_SYMLINK, /* to_path: the target */
    FILES_LINK,    /* to_base, to_path: the new name */
    FILES_RENAME,  /* as FILES_LINK */
    FILES_UTIMES,  /* times */
    FILES_LIST,    /* the entries from cursor on; 1: there are more. base and path: the directory */
    FILES_FUTIMES, /* times; with the descriptor of a file that was opened for writing */
    FILES_STDIO,   /* a descriptor of FIFO number stage: 0 input, 1 output, 2 error output */
    FILES_OP_END,
};

enum files_flag {
    FILES_FOLLOW = 1, /* also a symlink in the last place */
    FILES_READ = 2,
    FILES_WRITE = 4,
    FILES_CREATE = 8,
    FILES_EXCLUSIVE = 16,
    FILES_TRUNCATE = 32,
    FILES_APPEND = 64,
    FILES_DSYNC = 128,
    FILES_SYNC = 256,
    FILES_DIRECTORY = 512, /* nothing else will do */
    FILES_FLAGS = 1023,
};

/* Codes of FILES_OPEN */
enum {
    FILES_IS_FILE = 1,
    FILES_IS_DIRECTORY = 2,
    FILES_IS_PROMPT = 4, /* with FILES_IS_FILE: reading and writing wait for no disk */
};

enum { FILES_PATH_MAX = 4096, FILES_PACKET_MAX = 32 << 10 };

struct files_request {
    uint64_t tag, container;
    uint32_t op, flags;
    uint64_t offset; /* FILES_LIST: of the cursor */
    uint32_t stage;
    struct timespec times[2]; /* as utimensat(2) has them */
    const char *base, *path;  /* in the packet once decoded; "" for none */
    const char *to_base, *to_path;
};

/* Appends the packet. -ENAMETOOLONG past FILES_PATH_MAX, -ENOMEM. */
int files_put_request(struct buffer *packet, const struct files_request *r);
/* -EPROTO where it is none. Strings lie in data. */
int files_get_request(const void *data, size_t len, struct files_request *ret);

struct files_answer {
    uint64_t tag;
    int32_t code; /* -errno, or what the request says */
    uint32_t len; /* of what follows */
};

struct files_stat {
    uint64_t dev, ino, mode, nlink, size, atime, mtime, ctime; /* times in ns */
};

struct stat;
void files_stat_from(struct files_stat *to, const struct stat *st);

struct files_entry { /* its name follows, without a NUL */
    uint64_t inode;
    uint64_t offset; /* with stage: the cursor behind it */
    uint32_t stage;
    uint16_t len;
    uint8_t type; /* DT_* */
    uint8_t unused;
};
