/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the input as an image archive, and unpacks it as a layer. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "image/extract.h"
#include "image/image.h"
#include "image/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct image_store *store;
static char dir[64];
static int base = -1, input = -1;

static void remove_dir(void)
{
    image_store_free(store);
    dir_remove(AT_FDCWD, dir, NULL);
}

static void prepare(void)
{
    struct error err = {0};
    snprintf(dir, sizeof dir, "/dev/shm/warren-fuzz.XXXXXX");
    if (!mkdtemp(dir) || image_store_open(&store, dir, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    base = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    input = memfd_create("input", MFD_CLOEXEC);
    atexit(remove_dir);
}

static void unpack(void)
{
    static const struct extract_options options = {.layer = true};
    auto(tar_input) struct tar_input t = {0};
    uint64_t bytes;
    char digest[DIGEST_TEXT];
    if (mkdirat(base, "layer", 0755) < 0)
        abort();
    autoclose int root = openat(base, "layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tar_input_open(&t, input, 1000, NULL) == 0 &&
        tar_extract(&t, root, &options, &bytes, NULL) == 0)
        tar_input_finish(&t, digest, NULL);
    if (dir_remove(base, "layer", NULL) < 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto(strv) char **names = NULL;
    if (!store)
        prepare();
    if (ftruncate(input, 0) < 0 || lseek(input, 0, SEEK_SET) < 0 ||
        fd_write_all(input, data, size) < 0 || lseek(input, 0, SEEK_SET) < 0)
        abort();
    image_load(store, input, NULL, &names, NULL);
    for (char **n = names; n && *n; n++)
        image_remove(store, *n, true, NULL, NULL, NULL);
    lseek(input, 0, SEEK_SET);
    unpack();
    return 0;
}
