/* SPDX-License-Identifier: Apache-2.0 */
/* Pods of the wasm technique for tests: the real table in front, real workers behind, in a directory of their own. Functions that
 * take ids work in a coroutine; what they expect is asserted. */
#pragma once

#include "sandbox/server.h"
#include "wasm/wasm.h"

extern struct pods {
    char dir[64];
    struct sandboxer *sandboxer;
    struct wasm *wasm;
    struct arena paths;
} pods;

/* Group fixtures: the directory with image layers, the supervisor; and away with all. */
int pods_setup(void **state);
int pods_setup_with_pod(void **state); /* and a pod "pod" of the namespace "default" */
int pods_teardown(void **state);
/* How long something may take that takes ns on a machine which does nothing else: more where the sanitizers are, or others compute. */
int64_t pods_patience(int64_t ns);
/* Runs body in a coroutine, to its end. */
void pods_run(void (*body)(void));
/* The supervisor goes and comes again, as after a kill -9. */
void pods_restart(void);

/* A running pod in this namespace. */
void pod_start(const char *id, const char *namespace_);
/* With CPU resources of its own; quota in us each 100 ms. 0: not said. */
void pod_start_with(const char *id, const char *namespace_, int64_t shares, int64_t quota);
void pod_remove(const char *id);

struct container_spec {
    const char *pod, *id;
    const char *const *args; /* NULL-terminated; args[0] is the module */
    const char *env;         /* JSON list, NULL for none */
    const char *more;        /* members of the spec, with a comma before; or NULL */
    const char *process;     /* members of its process, likewise */
    const char *input;       /* a FIFO's path, or NULL */
};
/* Its rootfs: layers "top" and "base" below, and an upper directory of its id. */
int container_create(const struct container_spec *c, struct error *err);
void container_start(const char *id);
/* Waits for its end: the exit status. */
uint32_t container_wait(const char *id, char **ret_message);
/* Creates, starts, waits, reads the log without its times, removes. *ret_out malloced: lines "stdout F text". */
uint32_t container_run(const struct container_spec *c, char **ret_out);
char *container_log(const char *id);
void container_remove(const char *id);
/* Until the log has text; asserts it within 5 s. */
void container_expect_log(const char *id, const char *text);

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})
/* cmocka's fail_msg(), whose fail() is base's */
#define give_up(...)                                                                               \
    do {                                                                                           \
        print_error(__VA_ARGS__);                                                                  \
        print_error("\n");                                                                         \
        _fail(__FILE__, __LINE__);                                                                 \
    } while (0)
