/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

void fake_images_init(struct image_store *s)
{
    static char program[] = "/bin/program", *entrypoint[] = {program, NULL};
    *s = (struct image_store){0};
    for (int i = 0; i < FAKE_IMAGES; i++) {
        snprintf(s->ids[i], sizeof s->ids[i], "sha256:%064d", i);
        s->images[i].id = s->ids[i];
        s->images[i].config.entrypoint = entrypoint;
        s->images[i].references = 1;
        s->there[i] = true;
    }
}

static int index_of(struct image_store *s, const char *reference)
{
    for (int i = 0; i < FAKE_IMAGES; i++) {
        char name[16];
        snprintf(name, sizeof name, "image%d", i);
        if (s->there[i] && (str_eq(reference, name) || str_eq(reference, s->ids[i])))
            return i;
    }
    return -1;
}

int image_find(struct image_store *s, const char *reference, struct image **ret, struct error *err)
{
    int i = index_of(s, reference);
    if (i < 0)
        return fail_plain(err, ENOENT, "no such image: %s", reference);
    *ret = image_ref(&s->images[i]);
    return 0;
}

struct image *image_ref(struct image *image)
{
    image->references++;
    return image;
}

void image_unref(struct image *image)
{
    image->references--;
}

int image_lower_dirs(struct image_store *s, const struct image *image, char ***ret,
                     struct error *err)
{
    char **dirs = NULL;
    (void)s;
    (void)image;
    if (strv_add(&dirs, "/layers/b") < 0 || strv_add(&dirs, "/layers/a") < 0)
        return fail(err, ENOMEM, "list the layers");
    *ret = dirs;
    return 0;
}

int image_pin(struct image_store *s, const char *image_id, const char *user, struct error *err)
{
    int i = index_of(s, image_id);
    if (i < 0)
        return fail_plain(err, ENOENT, "no such image: %s", image_id);
    if (s->pin_count == FAKE_PINS)
        abort();
    s->pins[s->pin_count].image = i;
    snprintf(s->pins[s->pin_count++].user, sizeof s->pins[0].user, "%s", user);
    return 0;
}

void image_unpin(struct image_store *s, const char *image_id, const char *user)
{
    for (int i = 0; i < s->pin_count; i++)
        if (str_eq(s->ids[s->pins[i].image], image_id) && str_eq(s->pins[i].user, user)) {
            s->pins[i] = s->pins[--s->pin_count];
            return;
        }
}

int fake_image_remove(struct image_store *s, int image)
{
    for (int i = 0; i < s->pin_count; i++)
        if (s->pins[i].image == image)
            return -EBUSY;
    s->there[image] = false;
    return 0;
}
