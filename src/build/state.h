/* SPDX-License-Identifier: Apache-2.0 */
/* A build under way, shared by the files of this folder. */
#pragma once

#include "build/build.h"
#include "build/dockerfile.h"
#include "build/ignore.h"
#include "build/tree.h"

enum { BUILD_LAYERS_MAX = 400 };

struct stage {          /* what an image is becoming */
    char *name;         /* of AS; NULL */
    struct image *base; /* NULL: scratch */
    struct image_config config;
    struct tree tree; /* its layers, unpacked */
    int *layers;      /* tars of the new ones, lowest first; owned */
    size_t layer_count;
    struct image_history *history; /* created_by owned */
    size_t history_count;
    char **args;        /* "NAME=value", of ARG */
    bool cmd_inherited; /* CMD is still the base's */
};

struct build {
    const struct build_options *options;
    int dir; /* temporary: context/, and a file and a directory a layer */
    char *dir_path;
    struct tree context;
    struct ignore ignore;
    struct dockerfile file;
    struct stage *stages;
    size_t stage_count;
    char **global_args; /* ARG before the first FROM: "NAME=value", or "NAME" */
    char **used_args;   /* names of --build-arg that an ARG took */
    char pin[96];       /* how bases are held */
    unsigned files;
};

static inline struct stage *build_stage(struct build *b)
{
    return &b->stages[b->stage_count - 1];
}

/* One instruction of a stage; FROM and those before it are build.c's. Messages without the file's name and line. */
typedef int instruction_fn(struct build *b, const struct instruction *i, struct error *err);
instruction_fn instruction_add, instruction_copy, instruction_workdir; /* files.c */
instruction_fn instruction_env, instruction_label, instruction_arg, instruction_user,
    instruction_cmd, instruction_entrypoint, instruction_expose, instruction_volume,
    instruction_stop_signal, instruction_shell;

/* A word with its variables replaced by the stage's. */
int build_expand(struct build *b, const char *word, char **ret, struct error *err);
/* The words of an instruction, each expanded. */
int build_words(struct build *b, const struct instruction *i, char ***ret, struct error *err);
/* Sets "KEY=value" in a vector. 0 or -ENOMEM. */
int build_set(char ***v, const char *key, const char *value);
/* The value of KEY in a vector of "KEY=value"; NULL. */
const char *build_get(char *const *v, const char *key);
