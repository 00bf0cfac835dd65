/* SPDX-License-Identifier: Apache-2.0 */
/* warrend's settings: daemon.json with the keys that docker's and iSulad's have, and dockerd's
 * flags. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/diag.h"

struct error;

struct settings_sandboxer { /* an entry of cri-sandboxers */
    char *handler;
    char *name;    /* what kind it is: namespace, wasm, ... */
    char *address; /* socket path or unix:// */
};

struct settings_runtime { /* an entry of cri-runtimes */
    char *handler;
    char *type; /* io.containerd.wasm.v1 */
};

struct settings {
    char *data_root, *exec_root, *pidfile;
    char **hosts; /* unix://PATH */
    char *default_runtime;
    char *group;
    enum diag_level log_level;
    struct settings_sandboxer *sandboxers;
    size_t sandboxer_count;
    struct settings_runtime *runtimes;
    size_t runtime_count;
};

void settings_done(struct settings *c);

/* Reads path into c, over what c holds. must_exist false: a missing file is no error (the default
 * path). An unknown key or a bad value is -EINVAL: "PATH:LINE: key 'x': expected ...". */
int settings_read(struct settings *c, const char *path, bool must_exist, struct error *err);
/* As settings_read, from memory; name stands for the path in messages. */
int settings_parse(struct settings *c, const char *name, const char *text, size_t len,
                   struct error *err);
/* Fills in what was set nowhere. */
int settings_default(struct settings *c, struct error *err);
