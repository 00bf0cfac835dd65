/* SPDX-License-Identifier: Apache-2.0 */
/* The one cleanup idiom: a variable's attribute releases what it owns when it leaves scope.
 *
 *     autofree char *path = NULL;            free()
 *     autoclose int fd = -1;                 close() where >= 0
 *     auto(buffer) struct buffer b = {0};    buffer_done(&b), declared by CLEANUP(buffer, struct
 * buffer) return take_ptr(&path);                hands the ownership on */
#pragma once

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
    int saved = errno;
    free(*(void **)p);
    errno = saved;
}

static inline void cleanup_close(const int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        close(*fd);
        errno = saved;
    }
}

#define autofree  __attribute__((cleanup(cleanup_free)))
#define autoclose __attribute__((cleanup(cleanup_close)))
#define auto(noun) __attribute__((cleanup(cleanup_##noun)))

/* Makes auto(noun) call noun_done(&value): for embedded types, whose zero value is empty. */
#define CLEANUP_DONE(noun, type)                                                                   \
    static inline void cleanup_##noun(type *value)                                                 \
    {                                                                                              \
        noun##_done(value);                                                                        \
    }                                                                                              \
    struct cleanup_##noun##_end

/* Makes auto(noun) call noun_free(value): for heap types held by pointer; noun_free takes NULL. */
#define CLEANUP_FREE(noun, type)                                                                   \
    static inline void cleanup_##noun(type **value)                                                \
    {                                                                                              \
        noun##_free(*value);                                                                       \
    }                                                                                              \
    struct cleanup_##noun##_end

#define take_ptr(p)                                                                                \
    __extension__({                                                                                \
        __typeof__(p) take_from = (p);                                                             \
        __typeof__(*take_from) take_value = *take_from;                                            \
        *take_from = NULL;                                                                         \
        take_value;                                                                                \
    })

static inline int take_fd(int *fd)
{
    int value = *fd;
    *fd = -1;
    return value;
}

/* Closes *fd where it is open and forgets it. Keeps errno. */
static inline void close_fd(int *fd)
{
    cleanup_close(fd);
    *fd = -1;
}
