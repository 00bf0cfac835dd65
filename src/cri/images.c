/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"
#include "cri/services.h"

/* Unrefs a list as image_list() gives it. */
static void images_free(struct image **images)
{
    for (struct image **i = images; i && *i; i++)
        image_unref(*i);
    free(images);
}

static bool wanted(const struct image *image, struct image_store *store,
                   const Runtime__V1__ImageFilter *filter)
{
    if (!filter || !filter->image || !filter->image->image[0])
        return true;
    auto(image) struct image *named = NULL;
    return image_find(store, filter->image->image, &named, NULL) == 0 &&
           str_eq(named->id, image->id);
}

static int list(struct rpc_call *call, const Runtime__V1__ImageFilter *filter,
                Runtime__V1__Image ***ret, size_t *ret_count, struct error *err)
{
    struct cri *cri = rpc_context(call);
    struct arena *a = rpc_arena(call);
    struct image **images = NULL;
    int r = image_list(engine_images(cri->engine), &images, err);
    if (r < 0)
        return r;
    size_t n = 0;
    while (images[n])
        n++;
    *ret = arena_array(a, Runtime__V1__Image *, n + 1);
    *ret_count = 0;
    for (size_t i = 0; i < n; i++)
        if (wanted(images[i], engine_images(cri->engine), filter))
            (*ret)[(*ret_count)++] = cri_image(a, images[i]);
    images_free(images);
    return 0;
}

CRI_HANDLER(cri_list_images)
{
    const Runtime__V1__ListImagesRequest *q = request;
    Runtime__V1__ListImagesResponse *answer = response;
    return list(call, q->filter, &answer->images, &answer->n_images, err);
}

CRI_HANDLER(cri_stream_images)
{
    const Runtime__V1__StreamImagesRequest *q = request;
    (void)response;
    Runtime__V1__Image **items = NULL;
    size_t n = 0;
    int r = list(call, q->filter, &items, &n, err);
    for (size_t sent = 0; r == 0 && sent < n;) {
        Runtime__V1__StreamImagesResponse part = RUNTIME__V1__STREAM_IMAGES_RESPONSE__INIT;
        part.images = items + sent;
        part.n_images = n - sent < CRI_STREAM_ITEMS ? n - sent : CRI_STREAM_ITEMS;
        r = rpc_send(call, &part, err);
        sent += part.n_images;
    }
    return r;
}

CRI_HANDLER(cri_image_status)
{
    const Runtime__V1__ImageStatusRequest *q = request;
    Runtime__V1__ImageStatusResponse *answer = response;
    struct cri *cri = rpc_context(call);
    struct arena *a = rpc_arena(call);
    if (!q->image || !q->image->image[0])
        return fail_plain(err, EINVAL, "image status: image is missing");
    auto(image) struct image *image = NULL;
    int r = image_find(engine_images(cri->engine), q->image->image, &image, err);
    if (r == -ENOENT)
        return 0; /* CRI: no image in the answer, and no error */
    if (r < 0)
        return r;
    answer->image = cri_image(a, image);
    if (!q->verbose)
        return 0;
    answer->info = arena_array(a, Runtime__V1__ImageStatusResponse__InfoEntry *, 1);
    answer->info[answer->n_info++] = cri_pair_new(
        a, &runtime__v1__image_status_response__info_entry__descriptor, "info",
        arena_printf(a, "{\"chainID\":\"%s\",\"manifest\":\"%s\"}",
                     strv_len(image->layers) ? image->layers[strv_len(image->layers) - 1] : "",
                     str_or_empty(image->manifest_digest)));
    return 0;
}

struct removal {
    struct image_store *store;
    const char *reference;
};

/* CRI removes an image with all its names where it is named by id or by one of them. */
static int remove_image(void *arg, struct error *err)
{
    struct removal *r = arg;
    auto(image) struct image *image = NULL;
    int found = image_find(r->store, r->reference, &image, err);
    if (found == -ENOENT)
        return 0;
    return found < 0 ? found : image_remove(r->store, image->id, true, NULL, NULL, err);
}

CRI_HANDLER(cri_remove_image)
{
    const Runtime__V1__RemoveImageRequest *q = request;
    (void)response;
    struct cri *cri = rpc_context(call);
    if (!q->image || !q->image->image[0])
        return fail_plain(err, EINVAL, "remove image: image is missing");
    struct removal removal = {engine_images(cri->engine), q->image->image};
    return co_pool(remove_image, &removal, err);
}

struct usage {
    struct image_store *store;
    struct image_usage usage;
};

static int measure(void *arg, struct error *err)
{
    struct usage *u = arg;
    return image_store_usage(u->store, &u->usage, err);
}

CRI_HANDLER(cri_image_fs_info)
{
    (void)request;
    Runtime__V1__ImageFsInfoResponse *answer = response;
    struct cri *cri = rpc_context(call);
    struct arena *a = rpc_arena(call);
    struct usage u = {.store = engine_images(cri->engine)};
    int r = co_pool(measure, &u, err);
    if (r < 0)
        return r;
    Runtime__V1__FilesystemUsage *fs = arena_new(a, Runtime__V1__FilesystemUsage);
    runtime__v1__filesystem_usage__init(fs);
    fs->timestamp = clock_wall_ns();
    fs->fs_id = arena_new(a, Runtime__V1__FilesystemIdentifier);
    runtime__v1__filesystem_identifier__init(fs->fs_id);
    fs->fs_id->mountpoint = arena_strdup(a, u.usage.mountpoint);
    fs->used_bytes = arena_new(a, Runtime__V1__UInt64Value);
    runtime__v1__uint64_value__init(fs->used_bytes);
    fs->used_bytes->value = u.usage.bytes;
    fs->inodes_used = arena_new(a, Runtime__V1__UInt64Value);
    runtime__v1__uint64_value__init(fs->inodes_used);
    fs->inodes_used->value = u.usage.inodes;
    answer->image_filesystems = arena_array(a, Runtime__V1__FilesystemUsage *, 1);
    answer->image_filesystems[0] = fs;
    answer->n_image_filesystems = 1;
    answer->container_filesystems = answer->image_filesystems;
    answer->n_container_filesystems = 1;
    return 0;
}

CRI_HANDLER(cri_pull_image)
{
    const Runtime__V1__PullImageRequest *q = request;
    (void)call, (void)response;
    return fail_plain(err, EOPNOTSUPP,
                      "pull image '%s': Warren has no registry client yet; bring the image with "
                      "'warren load' or 'warren build'",
                      q->image ? q->image->image : "");
}
