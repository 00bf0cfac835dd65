/* SPDX-License-Identifier: Apache-2.0 */
/* pull, images, inspecti, rmi, imagefsinfo. */
#include <errno.h>
#include <stdio.h>

#include "cmd/warren/cri.h"

static int image_status(struct cri *c, const char *name, bool verbose,
                        Runtime__V1__ImageStatusResponse **ret, struct error *err)
{
    Runtime__V1__ImageStatusRequest q = RUNTIME__V1__IMAGE_STATUS_REQUEST__INIT;
    Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;
    spec.image = (char *)(uintptr_t)name;
    q.image = &spec;
    q.verbose = verbose;
    int r = cri_call_image(c, "ImageStatus", CRI_AT_ONCE, &q, ret, err);
    if (r < 0)
        return fail_in(err, r, "image status request for \"%s\" failed", name);
    return 0;
}

int cri_pull(struct cri *c, int argc, char **argv, struct error *err)
{
    const char *creds = NULL, *auth = NULL, *username = NULL, *timeout = NULL, *pod = NULL;
    const struct cri_option options[] = {
        {"creds", 0, CRI_TEXT, &creds, "USERNAME[:PASSWORD] for the registry"},
        {"auth", 0, CRI_TEXT, &auth, "Authentication string for the registry"},
        {"username", 'u', CRI_TEXT, &username, "User name for the registry"},
        {"pull-timeout", 0, CRI_TEXT, &timeout, "Accepted; the engine has its own limits"},
        {"pod-config", 0, CRI_TEXT, &pod, "The pod to pull for"},
    };
    Runtime__V1__PullImageRequest q = RUNTIME__V1__PULL_IMAGE_REQUEST__INIT;
    Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__AuthConfig credentials = RUNTIME__V1__AUTH_CONFIG__INIT;
    Runtime__V1__PullImageResponse *a;
    int rest, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (argc - rest != 1)
        return cri_wrong_arguments(c, err);
    if (username)
        return fail_plain(err, EOPNOTSUPP, "--username would ask for a password; use --creds");
    spec.image = argv[rest];
    q.image = &spec;
    if (creds || auth) {
        const char *colon = creds ? strchr(creds, ':') : NULL;
        credentials.auth = (char *)(uintptr_t)str_or_empty(auth);
        if (creds)
            credentials.username = arena_printf(&c->arena, "%.*s", (int)strcspn(creds, ":"), creds);
        if (colon)
            credentials.password = arena_strdup(&c->arena, colon + 1);
        q.auth = &credentials;
    }
    if (pod)
        r = cri_load_pod(c, pod, &q.sandbox_config, err);
    if (r == 0)
        r = cri_call_image(c, "PullImage", CRI_SLOW, &q, &a, err);
    if (r < 0)
        return fail_in(err, r, "pulling image");
    printf("Image is up to date for %s\n", a->image_ref);
    return 0;
}

/* Images */

struct images_options {
    bool verbose, quiet, digests, no_trunc, pinned;
    const char *output;
    char **filters;
};

static const char *first_name(const Runtime__V1__Image *i)
{
    if (i->n_repo_tags)
        return i->repo_tags[0];
    return i->n_repo_digests ? i->repo_digests[0] : i->id;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(first_name(*(void *const *)a), first_name(*(void *const *)b));
}

static int list_images(struct cri *c, const char *name, Runtime__V1__ListImagesResponse **ret,
                       struct error *err)
{
    Runtime__V1__ListImagesRequest q = RUNTIME__V1__LIST_IMAGES_REQUEST__INIT;
    Runtime__V1__ImageFilter filter = RUNTIME__V1__IMAGE_FILTER__INIT;
    Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;
    spec.image = (char *)(uintptr_t)str_or_empty(name);
    filter.image = &spec;
    q.filter = &filter;
    int r = cri_call_image(c, "ListImages", CRI_AT_ONCE, &q, ret, err);
    if (r < 0)
        return fail_in(err, r, "listing images");
    if ((*ret)->n_images)
        qsort((*ret)->images, (*ret)->n_images, sizeof *(*ret)->images, by_name);
    return 0;
}

static void add_row(struct cri *c, struct cri_table *t, const struct images_options *o,
                    const Runtime__V1__Image *i, const char *name, const char *tag)
{
    char size[CRI_TEXT_MAX];
    const char *digest = i->n_repo_digests ? strchr(i->repo_digests[0], '@') : NULL;
    const char *cells[] = {name, tag, NULL, NULL, NULL, NULL};
    size_t n = 2;
    if (o->digests)
        cells[n++] = digest ? cri_short(c, digest + 1, "sha256:", o->no_trunc) : "<none>";
    cells[n++] = cri_short(c, i->id, "sha256:", o->no_trunc);
    cells[n++] = cri_size(i->size, 3, size);
    if (o->pinned)
        cells[n++] = i->pinned ? "true" : "false";
    t->columns = n;
    for (size_t k = 0; k < n; k++)
        if (strv_add(&t->cells, cells[k]) < 0)
            abort();
}

static void add_image(struct cri *c, struct cri_table *t, const struct images_options *o,
                      const Runtime__V1__Image *i)
{
    for (size_t k = 0; k < i->n_repo_tags; k++) {
        const char *tag = i->repo_tags[k], *colon = strrchr(tag, ':');
        if (colon)
            add_row(c, t, o, i, arena_printf(&c->arena, "%.*s", (int)(colon - tag), tag),
                    colon + 1);
        else
            add_row(c, t, o, i, tag, "<none>");
    }
    if (i->n_repo_tags)
        return;
    const char *digest = i->n_repo_digests ? i->repo_digests[0] : "<none>";
    add_row(c, t, o, i, arena_printf(&c->arena, "%.*s", (int)strcspn(digest, "@"), digest),
            "<none>");
}

static void print_image(const Runtime__V1__Image *i)
{
    printf("ID: %s\n", i->id);
    for (size_t k = 0; k < i->n_repo_tags; k++)
        printf("RepoTags: %s\n", i->repo_tags[k]);
    for (size_t k = 0; k < i->n_repo_digests; k++)
        printf("RepoDigests: %s\n", i->repo_digests[k]);
    if (i->size)
        printf("Size: %llu\n", (unsigned long long)i->size);
    if (i->uid)
        printf("Uid: value:%lld\n", (long long)i->uid->value);
    if (!str_empty(i->username))
        printf("Username: %s\n", i->username);
    if (i->pinned)
        printf("Pinned: true\n");
    printf("\n");
}

static void print_images(struct cri *c, const struct images_options *o,
                         const Runtime__V1__ListImagesResponse *list)
{
    struct cri_table t = {0};
    const char *heads[] = {"IMAGE",    "TAG",  o->digests ? "DIGEST" : NULL,
                           "IMAGE ID", "SIZE", o->pinned ? "PINNED" : NULL};
    for (size_t i = 0; i < ARRAY_SIZE(heads) && !o->verbose && !o->quiet; i++)
        if (heads[i] && strv_add(&t.cells, heads[i]) < 0)
            abort();
    t.columns = strv_len(t.cells);
    for (size_t i = 0; i < list->n_images; i++) {
        if (o->quiet)
            printf("%s\n", list->images[i]->id);
        else if (o->verbose)
            print_image(list->images[i]);
        else
            add_image(c, &t, o, list->images[i]);
    }
    cri_print_table(&t);
}

int cri_images(struct cri *c, int argc, char **argv, struct error *err)
{
    struct images_options o = {0};
    const struct cri_option options[] = {
        {"verbose", 'v', CRI_FLAG, &o.verbose, "Show verbose info for images"},
        {"quiet", 'q', CRI_FLAG, &o.quiet, "Only show image IDs"},
        {"filter", 'f', CRI_LIST, &o.filters, "Not supported yet"},
        {"output", 'o', CRI_TEXT, &o.output, "Output format, one of: json|table"},
        {"digests", 0, CRI_FLAG, &o.digests, "Show digests"},
        {"no-trunc", 0, CRI_FLAG, &o.no_trunc, "Show output without truncating the ID"},
        {"pinned", 0, CRI_FLAG, &o.pinned, "Show whether the image is pinned or not"},
    };
    Runtime__V1__ListImagesResponse *list;
    enum cri_output output;
    int rest, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (argc - rest > 1)
        return cri_wrong_arguments(c, err);
    bool filtered = o.filters;
    strv_free(o.filters);
    if (filtered)
        return fail_plain(err, EOPNOTSUPP, "images --filter is not supported yet; name the image");
    r = cri_output_of(o.output, CRI_TABLE, &output, err);
    if (r == 0)
        r = list_images(c, rest < argc ? argv[rest] : NULL, &list, err);
    if (r < 0)
        return r;
    if (output == CRI_JSON)
        cri_print_message(list);
    else
        print_images(c, &o, list);
    return 0;
}

int cri_inspecti(struct cri *c, int argc, char **argv, struct error *err)
{
    const char *format = NULL;
    bool quiet = false;
    const struct cri_option options[] = {
        {"output", 'o', CRI_TEXT, &format, "Output format, one of: json|table"},
        {"quiet", 'q', CRI_FLAG, &quiet, "Do not show verbose information"},
    };
    enum cri_output output;
    int rest, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (rest == argc)
        return cri_wrong_arguments(c, err);
    r = cri_output_of(format, CRI_JSON, &output, err);
    json_object *list = json_object_new_array();
    for (int i = rest; i < argc && r == 0; i++) {
        Runtime__V1__ImageStatusResponse *a;
        r = image_status(c, argv[i], !quiet, &a, err);
        if (r == 0 && !a->image)
            r = fail_plain(err, ENOENT, "no such image \"%s\" present", argv[i]);
        if (r == 0 && output == CRI_TABLE)
            print_image(a->image);
        else if (r == 0)
            json_object_array_add(list,
                                  cri_inspection(a->image, (struct cri_info){a->n_info, a->info}));
    }
    if (r == 0 && output == CRI_JSON)
        cri_print_inspections(list);
    else
        json_object_put(list);
    return r;
}

/* Rmi */

static int remove_image(struct cri *c, const char *name, struct error *err)
{
    Runtime__V1__ImageStatusResponse *a;
    Runtime__V1__RemoveImageRequest q = RUNTIME__V1__REMOVE_IMAGE_REQUEST__INIT;
    Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;
    int r = image_status(c, name, false, &a, err);
    if (r < 0)
        return r;
    if (!a->image)
        return fail_plain(err, ENOENT, "no such image %s", name);
    spec.image = (char *)(uintptr_t)name;
    q.image = &spec;
    r = cri_call_image(c, "RemoveImage", CRI_SLOW, &q, NULL, err);
    if (r < 0)
        return fail_in(err, r, "error of removing image \"%s\"", name);
    for (size_t i = 0; i < a->image->n_repo_tags; i++)
        printf("Deleted: %s\n", a->image->repo_tags[i]);
    for (size_t i = 0; !a->image->n_repo_tags && i < a->image->n_repo_digests; i++)
        printf("Deleted: %s\n", a->image->repo_digests[i]);
    return 0;
}

/* Whether a container was made of the image. */
static int in_use(struct cri *c, const Runtime__V1__ListContainersResponse *list, const char *id,
                  struct error *err)
{
    for (size_t i = 0; i < list->n_containers; i++) {
        Runtime__V1__ImageStatusResponse *a;
        const Runtime__V1__Container *k = list->containers[i];
        if (!k->image || str_eq(str_or_empty(k->image_id), id))
            return 1;
        int r = image_status(c, k->image->image, false, &a, err);
        if (r < 0 || (a->image && str_eq(a->image->id, id)))
            return r < 0 ? r : 1;
    }
    return 0;
}

static int remove_many(struct cri *c, bool prune, struct error *err)
{
    Runtime__V1__ListContainersRequest q = RUNTIME__V1__LIST_CONTAINERS_REQUEST__INIT;
    Runtime__V1__ListContainersResponse *containers = NULL;
    Runtime__V1__ListImagesResponse *list;
    int failed = 0, r = list_images(c, NULL, &list, err);
    if (r == 0 && prune)
        r = cri_call_list(c, "ListContainers", &q, &containers, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < list->n_images; i++) {
        r = prune ? in_use(c, containers, list->images[i]->id, err) : 0;
        if (r == 0 && !(prune && list->images[i]->pinned))
            r = remove_image(c, list->images[i]->id, err);
        if (!prune)
            cri_note(r, &failed, err);
    }
    return failed < 0 ? fail_plain(err, failed, "unable to remove image(s)") : 0;
}

int cri_rmi(struct cri *c, int argc, char **argv, struct error *err)
{
    bool all = false, prune = false;
    const struct cri_option options[] = {
        {"all", 'a', CRI_FLAG, &all, "Remove all images"},
        {"prune", 'q', CRI_FLAG, &prune, "Remove all unused images"},
    };
    int rest, failed = 0, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (all || prune)
        return remove_many(c, prune, err);
    if (rest == argc)
        return cri_wrong_arguments(c, err);
    for (int i = rest; i < argc; i++)
        cri_note(remove_image(c, argv[i], err), &failed, err);
    return failed < 0 ? fail_plain(err, failed, "unable to remove image(s)") : 0;
}

int cri_imagefsinfo(struct cri *c, int argc, char **argv, struct error *err)
{
    const char *format = NULL;
    const struct cri_option options[] = {
        {"output", 'o', CRI_TEXT, &format, "Output format, one of: json"}};
    Runtime__V1__ImageFsInfoRequest q = RUNTIME__V1__IMAGE_FS_INFO_REQUEST__INIT;
    Runtime__V1__ImageFsInfoResponse *a;
    enum cri_output output;
    int rest, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = cri_output_of(format, CRI_JSON, &output, err);
    if (r == 0)
        r = cri_call_image(c, "ImageFsInfo", CRI_AT_ONCE, &q, &a, err);
    if (r < 0)
        return r;
    json_object *list = json_object_new_array();
    json_object_array_add(list, cri_inspection(a, (struct cri_info){0}));
    cri_print_inspections(list);
    return 0;
}
