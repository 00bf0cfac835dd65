/* SPDX-License-Identifier: Apache-2.0 */
/* Real containers for tests, as root: the test program is their keeper. The root is a busybox made for the run, in lab; what
 * is left of it at the end (mounts, cgroups) fails the run. */
#pragma once

#include "test.h"

#include "base/base.h"
#include "container/container.h"
#include "linux/cgroup_host.h"
#include "oci/spec.h"

extern char lab[];
extern struct cgroup_host *host;

struct run {
    const char *process; /* members of process, JSON, beside those of every run */
    const char *script;  /* of sh -c; NULL: args below */
    const char *args;    /* JSON list */
    const char *user, *cwd, *mounts, *linux_, *root, *top; /* JSON pieces */
    unsigned pod_namespaces;
    bool overlay, readonly, limits;
    const char *namespaces;
    /* what came of it */
    int status; /* exit code, 128 + signal, -1: never started */
    struct error err;
    char warnings[1024];
    char output[16384];
    bool oom;
    struct oci_spec *spec;
};

/* Makes what it asks for, runs it to its end and fills in what came of it. */
void run_container(struct run *run);
#define check(run_, status_, output_)                                                              \
    do {                                                                                           \
        run_container(run_);                                                                       \
        assert_string_equal((run_)->err.message, "");                                              \
        assert_string_equal((run_)->output, output_);                                              \
        assert_int_equal((run_)->status, status_);                                                 \
    } while (0)

/* The parts of it. build: the recipe; spec and strings live in a. */
int build(struct run *run, struct arena *a, const struct cgroup *g, struct buffer *recipe);
/* Clones, waits for ready, lets go and waits for exec. *ret_out: where its output is to be read. 0 or -1. */
int start(struct run *run, const struct buffer *recipe, int target, struct container_child *c,
          int *ret_out);
void read_output(int fd, struct run *run);
/* The exit code, or 128 and the signal. */
int wait_status(pid_t pid);

int set_up(void **state);
int tear_down(void **state);
