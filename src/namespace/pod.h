/* SPDX-License-Identifier: Apache-2.0 */
/* The technique's own parts. */
#pragma once

#include "linux/cgroup.h"
#include "namespace/holder.h"
#include "namespace/namespace.h"

struct namespaces {
    char *dir, *cgroup_parent;
    int dir_fd;
    int keeper;                  /* the sealed program */
    struct cgroup_host *cgroups; /* under the usual parent */
};

/* What a pod's config says; texts live as long as the pod. */
struct pod_config {
    unsigned wire_flags; /* WIRE_POD_* */
    unsigned
        namespaces; /* CLONE_NEW*: what the keeper has for its pod (pid too, where it is shared) */
    char *hostname;
    struct buffer sysctls; /* as WIRE_INIT wants them */
    char *cgroup_parent;   /* "" for ours */
};

struct pod { /* sandbox.technique */
    struct namespaces *t;
    struct sandbox *sb;
    struct holder *holder; /* NULL: not started, or ended */
    bool running;          /* its keeper's end is the pod's end */
    struct co_queue gone;  /* woken when holder has become NULL */
    struct pod_config config;
};

struct unit {        /* process.technique: a container or an exec */
    bool own_cgroup; /* made by us, to be removed */
    struct cgroup cgroup;
    bool own_pid;
    /* The part of the container's spec that an exec needs (its seccomp), JSON. Kept in the keeper beside the record. */
    uint8_t *spec;
    size_t spec_len;
};

/* Config.c: what a PodSandboxConfig means here */

/* -EINVAL and -EOPNOTSUPP name the field. */
int pod_config_read(const struct sandbox *sb, struct pod_config *ret, struct error *err);
void pod_config_done(struct pod_config *c);

/* Pod.c */

int pod_new(struct namespaces *t, struct sandbox *sb, struct pod **ret, struct error *err);
void pod_free(struct pod *p);
extern const struct holder_observer pod_observer;
int pod_container_cgroup(const struct pod *p, const char *id, struct cgroup *ret,
                         struct error *err);
int namespace_sandbox_create(void *t, struct sandbox *sb, struct error *err);
int namespace_sandbox_start(void *t, struct sandbox *sb, const struct buffer *record,
                            struct error *err);
int namespace_sandbox_stop(void *t, struct sandbox *sb, int64_t deadline_ns, struct error *err);
int namespace_sandbox_remove(void *t, struct sandbox *sb, struct error *err);

/* Recover.c */

int namespace_recover(void *t, struct sandboxer *s, struct error *err);

/* Process.c */

void unit_free(struct unit *u);
/* What the keeper keeps of a process: the servers' record, and what unit has to know. */
int unit_seal(const struct unit *u, const struct buffer *record, struct buffer *ret);
int unit_open(const void *data, size_t len, struct unit **ret, const void **ret_record,
              size_t *ret_record_len);
int namespace_create(void *t, struct process *p, const struct buffer *record, struct error *err);
int namespace_start(void *t, struct process *p, struct error *err);
int namespace_signal(void *t, struct process *p, int signal, bool all, struct error *err);
int namespace_remove(void *t, struct process *p, struct error *err);
int namespace_resize(void *t, struct process *p, uint32_t columns, uint32_t rows,
                     struct error *err);
int namespace_close_stdin(void *t, struct process *p, struct error *err);
int namespace_reopen_log(void *t, struct process *p, struct error *err);
int namespace_attach(void *t, struct process *p, bool in, bool out, bool err_, char **ret_address,
                     char **ret_token, struct error *err);

/* Resources.c */

int namespace_pause(void *t, struct process *p, struct error *err);
int namespace_resume(void *t, struct process *p, struct error *err);
int namespace_update(void *t, struct process *p, const uint8_t *resources, size_t len,
                     struct error *err);
int namespace_pids(void *t, struct process *p, struct buffer *b, struct error *err);
int namespace_stats(void *t, struct process *p, struct process_stats *ret, struct error *err);
/* On the pool, since they retry. */
int cgroup_remove_parked(const struct cgroup *g, struct error *err);
int cgroup_kill_parked(const struct cgroup *g, struct error *err);
