/* SPDX-License-Identifier: Apache-2.0 */
/* Dockerfiles, the substitution in their words, and .dockerignore. */
#include <stdlib.h>

#include "base/base.h"
#include "build/dockerfile.h"
#include "build/ignore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *lookup(void *arg, const char *name)
{
    (void)arg;
    return *name == 'E' ? "" : *name == 'S' ? "set" : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto(dockerfile) struct dockerfile d = {0};
    auto(ignore) struct ignore ignore = {0};
    if (dockerfile_parse("Dockerfile", (const char *)data, size, &d, NULL) == 0) {
        for (size_t i = 0; i < d.count; i++) {
            auto(strv) char **words = dockerfile_words(d.instructions[i].rest, d.escape);
            for (char **w = words; *w; w++) {
                char *out = NULL;
                if (dockerfile_expand(*w, d.escape, lookup, NULL, &out, NULL) == 0)
                    free(out);
            }
        }
    }
    if (ignore_parse((const char *)data, size, &ignore) == 0)
        ignore_matches(&ignore, "some/path/to/a file.c");
    return 0;
}
