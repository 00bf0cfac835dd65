/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of recipe_build() share: the block under construction, and the tables of names. */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "container/container.h"
#include "container/recipe.h"
#include "oci/spec.h"

struct builder {
    const struct recipe_input *in;
    struct buffer body;      /* the block, beginning with room for the struct */
    struct buffer *warnings; /* or NULL */
    struct arena arena;
    struct recipe recipe; /* copied to the block's beginning at the end */
    unsigned own;         /* CLONE_NEW*: namespaces that are not the host's */
};

void builder_done(struct builder *b);
CLEANUP_DONE(builder, struct builder);

void builder_warn(struct builder *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* s is copied; NULL is absent. 0 or -ENOMEM, as below. */
int builder_string(struct builder *b, const char *s, recipe_string *ret);
/* NULL-terminated, or NULL: empty. */
int builder_strings(struct builder *b, char *const *v, struct recipe_list *ret);
/* Items of size bytes, copied. */
int builder_items(struct builder *b, const void *items, size_t count, size_t size,
                  struct recipe_list *ret);

/* build_mounts.c */
int build_rootfs(struct builder *b, struct error *err);
int build_mounts(struct builder *b, struct error *err);
/* build_process.c */
int build_process(struct builder *b, const struct oci_process *p, struct error *err);
/* build_linux.c */
int build_linux(struct builder *b, struct error *err);
/* seccomp.c: the filter as struct sock_filter in an arena, from the spec's own profile or the annotation's. */
int build_seccomp(struct builder *b, const struct oci_spec *spec, struct error *err);

struct name_value {
    const char *name;
    int64_t value;
};
/* -1 where name is in none of the n rows. */
int64_t name_find(const struct name_value *table, size_t n, const char *name);
