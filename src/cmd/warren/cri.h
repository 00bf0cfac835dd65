/* SPDX-License-Identifier: Apache-2.0 */
/* warren cri: crictl's commands, flags and output, as a client of the CRI socket. One coroutine runs one command; all
 * that it allocates lives in the arena until the program ends. */
#pragma once

#include <json-c/json.h>

#include "base/base.h"
#include "cri.pb-c.h"
#include "rpc/json.h"
#include "rpc/rpc.h"

struct cri {
    struct rpc_client *runtime, *image; /* image is runtime where both are one endpoint */
    struct arena arena;
    int64_t timeout_ns; /* of calls that answer at once; 0: not set by the user */
    const char *command;
    const struct cri_command *commands;
};

/* 0, the exit code where positive, or negative: err is printed and the exit code is 1. argv[0] is the command. */
typedef int cri_run(struct cri *c, int argc, char **argv, struct error *err);

struct cri_command {
    const char *name, *alias;
    const char *arguments, *about;
    cri_run *run;
};

cri_run cri_runp, cri_stopp, cri_rmp, cri_pods, cri_inspectp, cri_statsp;
cri_run cri_run_container, cri_create, cri_start, cri_stop, cri_rm, cri_ps, cri_inspect, cri_update,
    cri_exec, cri_logs, cri_stats;
cri_run cri_pull, cri_images, cri_inspecti, cri_rmi, cri_imagefsinfo;
cri_run cri_version, cri_info, cri_events, cri_runtime_config, cri_update_runtime_config;

/* Options (cri_options.c) */

enum cri_kind { CRI_FLAG, CRI_TEXT, CRI_NUMBER, CRI_LIST };

struct cri_option {
    const char *name;
    char letter; /* 0: none */
    enum cri_kind kind;
    void *target; /* bool, const char *, int64_t, char ** (strv) */
    const char *about;
};

/* Flags up to the first argument, as crictl has it. 0 with *ret_rest the index of the first argument; 1 where --help
 * was asked for and printed; -EINVAL. */
int cri_parse(const struct cri_option *options, size_t count, int argc, char **argv,
              const struct cri_command *command, int *ret_rest, struct error *err);
/* As above for the command that runs. */
int cri_options(struct cri *c, const struct cri_option *options, size_t count, int argc,
                char **argv, int *ret_rest, struct error *err);
/* -EINVAL with a sentence that names the arguments wanted. */
int cri_wrong_arguments(struct cri *c, struct error *err);

/* Calls (cri_call.c) */

enum cri_pace { CRI_AT_ONCE, CRI_SLOW };
/* A unary call; *ret (may be NULL) lives in c's arena. */
int cri_call(struct cri *c, const char *method, enum cri_pace pace, const void *request, void *ret,
             struct error *err);
int cri_call_image(struct cri *c, const char *method, enum cri_pace pace, const void *request,
                   void *ret, struct error *err);
/* Lists (cri_lists.c): plain names the unary call, request is its. By the streaming call where there is one. *ret is the unary call's answer, in c's arena. */
int cri_call_list(struct cri *c, const char *plain, const void *request, void *ret,
                  struct error *err);
/* Of ContainerStats or PodSandboxStats: sorted by id, for cri_stats_find. */
int cri_call_stats(struct cri *c, const char *plain, const void *request, void *ret,
                   struct error *err);
/* One of an answer of cri_call_stats(); NULL. */
void *cri_stats_find(const void *list, const char *id);
uint64_t cri_number(const Runtime__V1__UInt64Value *v); /* 0 where there is none */

/* Says an rpc's failure in crictl's words. */
int cri_rpc_error(const struct rpc_client *client, int code, struct error *err);

/* A JSON file as a message; unknown keys are warned of. */
int cri_load(struct cri *c, const char *path, const ProtobufCMessageDescriptor *type, void *ret,
             struct error *err);
int cri_load_pod(struct cri *c, const char *path, Runtime__V1__PodSandboxConfig **ret,
                 struct error *err);
int cri_load_container(struct cri *c, const char *path, Runtime__V1__ContainerConfig **ret,
                       struct error *err);
/* "key=value" texts as a map's entries of type. *ret_entries is an array of *ret_count. */
int cri_map_of(struct cri *c, char *const *texts, const ProtobufCMessageDescriptor *entry,
               size_t *ret_count, void *ret_entries, struct error *err);

/* Output (cri_output.c) */

enum { CRI_COLUMNS_MAX = 10 };
struct cri_table {
    char **cells;
    size_t columns, count, room;
};
/* Texts up to NULL are one row, copied. */
void cri_row(struct cri_table *t, const char *first, ...) __attribute__((sentinel));
void cri_print_table(struct cri_table *t);

enum cri_output { CRI_TABLE, CRI_JSON };
int cri_output_of(const char *text, enum cri_output absent, enum cri_output *ret,
                  struct error *err);
void cri_print_json(json_object *json); /* puts it */
void cri_print_message(const void *message);
/* A status and its info as crictl's inspect commands print them: keys sorted, an object, or a list of several. */
struct cri_info {
    size_t count;
    void *entries; /* of a map<string, string> */
};
json_object *cri_inspection(const void *status, struct cri_info info);
void cri_print_inspections(json_object *list); /* puts it */
/* Replaces member name, nanoseconds as text, by RFC 3339 in local time. */
void cri_set_time(json_object *object, const char *name, int64_t ns);

/* Where one of several things fails: says so, forgets err, and goes on. */
void cri_note(int r, int *failed, struct error *err);

enum { CRI_TEXT_MAX = 64 };
/* "2 minutes ago" */
char *cri_ago(int64_t wall_ns, char text[CRI_TEXT_MAX]);
/* "1.234MB": four digits, powers of 1000. */
char *cri_size(uint64_t bytes, int digits, char text[CRI_TEXT_MAX]);
/* The first 13 characters, after prefix where it is there; in the arena. */
char *cri_short(struct cri *c, const char *id, const char *prefix, bool no_trunc);
/* "key -> value" lines under title. entries: of a map<string, string>. */
void cri_print_map(const char *title, size_t count, const void *entries);
/* A value of a map<string, string>; NULL. */
const char *cri_map_get(size_t count, const void *entries, const char *key);
/* "2026-01-02 03:04:05.678 +0000 UTC", as Go prints a time. */
char *cri_go_time(int64_t wall_ns, char text[CRI_TEXT_MAX]);

/* Whether text matches the regular expression; NULL matches all. Negative where it is none. */
int cri_matches(const char *pattern, const char *text, struct error *err);
/* How many of total to show. */
size_t cri_limit(size_t total, bool latest, int64_t last);
