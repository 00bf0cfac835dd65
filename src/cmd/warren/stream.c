/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/warren/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "docker/messages.h"
#include "image/json.h"

enum { LINE_MAX_BYTES = 4 << 20 };

static void show_line(struct stream *s, const char *text, size_t len)
{
    auto(json) json_object *o = NULL;
    struct stream_message m;
    if (json_parse("a line", text, len, &o, NULL) < 0)
        return;
    stream_read(o, &m);
    if (s->begin) {
        s->begin(s->arg);
        s->begin = NULL;
    }
    if (m.error && !s->error)
        s->error = strdup(m.error);
    if (m.image_id) {
        free(s->image_id);
        s->image_id = strdup(m.image_id);
    }
    if (m.stream && !s->quiet) {
        fputs(m.stream, stdout);
        fflush(stdout);
    }
}

int stream_write(void *arg, const void *data, size_t len)
{
    struct stream *s = arg;
    if (s->line.len > LINE_MAX_BYTES || buffer_append(&s->line, data, len) < 0)
        return -1;
    for (char *end; (end = memchr(s->line.data, '\n', s->line.len));) {
        size_t n = (size_t)(end - (char *)s->line.data) + 1;
        show_line(s, (char *)s->line.data, n);
        buffer_consume(&s->line, n);
    }
    return 0;
}

void stream_done(struct stream *s)
{
    buffer_done(&s->line);
    free(s->image_id);
    free(s->error);
}
