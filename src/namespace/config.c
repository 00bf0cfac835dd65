/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "cri.pb-c.h"
#include "namespace/pod.h"

typedef Runtime__V1__PodSandboxConfig Config;
typedef Runtime__V1__NamespaceOption NamespaceOption;
enum {
    MODE_POD = RUNTIME__V1__NAMESPACE_MODE__POD,
    MODE_NODE = RUNTIME__V1__NAMESPACE_MODE__NODE,
    MODE_TARGET = RUNTIME__V1__NAMESPACE_MODE__TARGET,
    HOSTNAME_LEN_MAX = 64, /* the kernel's */
    SYSCTLS_MAX = 256,
};

void pod_config_done(struct pod_config *c)
{
    free(c->hostname);
    free(c->cgroup_parent);
    buffer_done(&c->sysctls);
}

/* A sysctl of the host must not be changed by a pod; those below belong to a namespace (kernel: net/, ipc/ipc_sysctl.c,
 * ipc/mq_sysctl.c). */
static int check_sysctl(const char *name, const struct pod_config *c, struct error *err)
{
    static const char *const ipc[] = {"kernel.msgmax", "kernel.msgmnb",         "kernel.msgmni",
                                      "kernel.sem",    "kernel.shmall",         "kernel.shmmax",
                                      "kernel.shmmni", "kernel.shm_rmid_forced"};
    bool of_ipc = str_after(name, "fs.mqueue.") != NULL;
    for (size_t i = 0; i < ARRAY_SIZE(ipc); i++)
        of_ipc |= str_eq(name, ipc[i]);
    bool of_net = str_after(name, "net.") != NULL;
    if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/") !=
            strlen(name) ||
        strstr(name, "..") || (!of_ipc && !of_net))
        return fail_plain(
            err, EINVAL,
            "linux.sysctls: '%s' is not one of a namespace (net.*, fs.mqueue.*, System V IPC)",
            name);
    if (!(c->namespaces & (of_net ? CLONE_NEWNET : CLONE_NEWIPC)))
        return fail_plain(
            err, EINVAL,
            "linux.sysctls: '%s' would be the host's, as the pod has no %s namespace of its own",
            name, of_net ? "network" : "ipc");
    return 0;
}

static int read_sysctls(const Runtime__V1__LinuxPodSandboxConfig *l, struct pod_config *c,
                        struct error *err)
{
    if (l->n_sysctls > SYSCTLS_MAX)
        return fail_plain(err, EINVAL, "linux.sysctls: more than %d", SYSCTLS_MAX);
    for (size_t i = 0; i < l->n_sysctls; i++) {
        int r = check_sysctl(l->sysctls[i]->key, c, err);
        if (r < 0)
            return r;
        autofree char *text = str_format("%s=%s", l->sysctls[i]->key, l->sysctls[i]->value);
        if (!text || wire_put_str(&c->sysctls, text) < 0)
            return fail(err, ENOMEM, "read linux.sysctls");
    }
    return 0;
}

static int read_namespaces(const NamespaceOption *o, const struct sandbox *sb, struct pod_config *c,
                           struct error *err)
{
    int network = o ? (int)o->network : MODE_POD,
        pid = o ? (int)o->pid : RUNTIME__V1__NAMESPACE_MODE__CONTAINER,
        ipc = o ? (int)o->ipc : MODE_POD;
    if (network == MODE_TARGET || ipc == MODE_TARGET || pid == MODE_TARGET)
        return fail_plain(
            err, EINVAL,
            "linux.security_context.namespace_options: TARGET is for containers, not for a pod");
    if (o && o->userns_options && o->userns_options->mode == RUNTIME__V1__NAMESPACE_MODE__POD &&
        o->userns_options->n_uids)
        return fail_plain(err, EOPNOTSUPP,
                          "linux.security_context.namespace_options.userns_options: user "
                          "namespaces are not supported yet");
    if (!str_empty(sb->netns_path))
        c->wire_flags |= WIRE_POD_NET_PATH;
    else if (network != MODE_NODE)
        c->wire_flags |= WIRE_POD_NET;
    if (network !=
        MODE_NODE) { /* the host's network comes with the host's name, as with the kubelet */
        c->wire_flags |= WIRE_POD_UTS;
        c->namespaces |= CLONE_NEWUTS;
    }
    if (c->wire_flags & (WIRE_POD_NET | WIRE_POD_NET_PATH))
        c->namespaces |= CLONE_NEWNET;
    if (ipc != MODE_NODE) {
        c->wire_flags |= WIRE_POD_IPC;
        c->namespaces |= CLONE_NEWIPC;
    }
    if (pid == MODE_POD) {
        c->wire_flags |= WIRE_POD_PID;
        c->namespaces |= CLONE_NEWPID;
    }
    return 0;
}

static int read_config(const Config *config, const struct sandbox *sb, struct pod_config *c,
                       struct error *err)
{
    const Runtime__V1__LinuxPodSandboxConfig *l = config->linux;
    const NamespaceOption *o =
        l && l->security_context ? l->security_context->namespace_options : NULL;
    static const NamespaceOption all_zero = RUNTIME__V1__NAMESPACE_OPTION__INIT;
    int r = read_namespaces(o ? o : &all_zero, sb, c, err);
    if (r < 0)
        return r;
    if (strlen(config->hostname) > HOSTNAME_LEN_MAX)
        return fail_plain(err, EINVAL, "hostname: '%s' has more than %d characters",
                          config->hostname, HOSTNAME_LEN_MAX);
    c->hostname = strdup(config->hostname);
    c->cgroup_parent = strdup(l ? l->cgroup_parent : "");
    if (!c->hostname || !c->cgroup_parent)
        return fail(err, ENOMEM, "read the pod's config");
    if (str_ends(c->cgroup_parent, ".slice"))
        return fail_plain(
            err, EOPNOTSUPP,
            "linux.cgroup_parent: '%s' is a systemd slice; the cgroup driver here is cgroupfs",
            c->cgroup_parent);
    if (*c->cgroup_parent && (*c->cgroup_parent != '/' || strstr(c->cgroup_parent, "..")))
        return fail_plain(err, EINVAL, "linux.cgroup_parent: '%s' is not an absolute path",
                          c->cgroup_parent);
    return l ? read_sysctls(l, c, err) : 0;
}

int pod_config_read(const struct sandbox *sb, struct pod_config *ret, struct error *err)
{
    struct pod_config c = {0};
    Config *config = runtime__v1__pod_sandbox_config__unpack(NULL, sb->config_len, sb->config);
    if (!config)
        return fail_plain(err, EINVAL, "the sandbox's options are no runtime.v1.PodSandboxConfig");
    int r = read_config(config, sb, &c, err);
    runtime__v1__pod_sandbox_config__free_unpacked(config, NULL);
    if (r < 0) {
        pod_config_done(&c);
        return r;
    }
    *ret = c;
    return 0;
}
