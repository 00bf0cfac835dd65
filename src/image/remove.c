/* SPDX-License-Identifier: Apache-2.0 */
/* Removing names and images. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "image/db.h"
#include "image/reference.h"
#include "image/store.h"

struct removal {
    struct record *record;
    char **names; /* what goes */
    bool image;   /* the image goes as well */
};

static void removal_done(struct removal *r)
{
    strv_free(r->names);
}
CLEANUP_DONE(removal, struct removal);

static int take_names(struct image_store *s, struct removal *r)
{
    const struct name *n;
    for (size_t i = 0; (n = map_next(&s->names, &i));)
        if (n->record == r->record && strv_add(&r->names, n->name) < 0)
            return -ENOMEM;
    if (r->names)
        qsort(r->names, strv_len(r->names), sizeof *r->names, store_compare_texts);
    return 0;
}

/* Decides what goes. A name takes only itself while the image has others; an id takes the image,
 * and with several repositories wants force, as docker does. `lock` is held. */
static int decide(struct image_store *s, const char *reference, bool force, struct removal *r,
                  struct error *err)
{
    int status = store_find(s, reference, &r->record, err);
    if (status < 0)
        return status;
    autofree char *full = NULL;
    const struct name *name = NULL;
    if (!str_after(reference, "sha256:") && image_reference_expand(reference, &full, NULL) == 0)
        name = map_get(&s->names, full);
    bool by_name = name && name->record == r->record;
    status = by_name ? strv_add(&r->names, full) : take_names(s, r);
    if (status < 0)
        return fail(err, status, "remove image '%s'", reference);
    size_t left = 0;
    const struct name *n;
    for (size_t i = 0; (n = map_next(&s->names, &i));)
        left += n->record == r->record;
    bool by_digest = full && strchr(full, '@') && !by_name;
    if (!by_name && !by_digest && left > 1 && !force)
        return fail_plain(err, EBUSY,
                          "unable to delete %.12s (must be forced) - image is referenced in "
                          "multiple repositories",
                          r->record->id + strlen("sha256:"));
    size_t first = 0;
    const char *pinned = map_next(&r->record->pins, &first);
    r->image = left == strv_len(r->names) && !pinned;
    if (left == strv_len(r->names) && pinned && !(force && by_name))
        return fail_plain(err, EBUSY,
                          "conflict: unable to remove '%s' - image %.12s is in use by container "
                          "%.12s",
                          reference, r->record->id + strlen("sha256:"), pinned);
    return 0;
}

static int remove_rows(struct image_store *s, const struct removal *r, struct error *err)
{
    int status = db_do(s->db, err, "BEGIN IMMEDIATE");
    for (size_t i = 0; !status && r->names && r->names[i]; i++)
        status = db_do(s->db, err, "DELETE FROM names WHERE name=?1", r->names[i]);
    if (!status && r->image)
        status = db_do(s->db, err, "DELETE FROM images WHERE id=?1", r->record->id);
    if (!status)
        status = db_do(s->db, err, "COMMIT");
    if (status < 0)
        db_rollback(s->db);
    return status;
}

/* A removed name's own record; the map's key was part of it. */
static void forget_name(struct image_store *s, const char *text)
{
    struct name *name = map_remove(&s->names, text);
    free(name->name);
    free(name);
}

static int forget(struct image_store *s, struct removal *r, char ***deleted, struct error *err)
{
    {
        autounlock held = hold(&s->lock);
        for (size_t i = 0; r->names && r->names[i]; i++)
            forget_name(s, r->names[i]);
        if (!r->image)
            return store_retag(s, r->record) < 0 ? fail(err, ENOMEM, "remove a name") : 0;
        store_forget_record(s, r->record);
    }
    auto(record) struct record *record = take_ptr(&r->record);
    if (strv_add(deleted, record->id) < 0)
        return fail(err, ENOMEM, "remove image");
    for (char **b = record->blobs; *b; b++)
        store_release(s, false, *b);
    for (size_t n = strv_len(record->image->layers); n--;) {
        const char *chain = record->image->layers[n];
        store_release(s, true, chain);
        bool gone;
        {
            autounlock held = hold(&s->lock);
            gone = !map_get(&s->layers, chain);
        }
        /* a row without a directory is harmless, so a failure here is not told */
        if (gone && db_do(s->db, NULL, "DELETE FROM layers WHERE chain=?1", chain) == 0 &&
            strv_add(deleted, chain) < 0)
            return fail(err, ENOMEM, "remove image");
    }
    return 0;
}

int image_remove(struct image_store *s, const char *reference, bool force, char ***ret_untagged,
                 char ***ret_deleted, struct error *err)
{
    auto(removal) struct removal r = {0};
    auto(strv) char **deleted = NULL;
    autounlock writing = hold(&s->write);
    int status;
    {
        autounlock held = hold(&s->lock);
        status = decide(s, reference, force, &r, err);
    }
    if (!status)
        status = remove_rows(s, &r, err);
    if (!status)
        status = forget(s, &r, &deleted, err);
    if (status < 0)
        return status;
    if (ret_untagged)
        *ret_untagged = take_ptr(&r.names);
    if (ret_deleted)
        *ret_deleted = take_ptr(&deleted);
    return 0;
}
