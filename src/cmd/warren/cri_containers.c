/* SPDX-License-Identifier: Apache-2.0 */
/* run, create, start, stop, rm, update, exec. */
#include <errno.h>
#include <stdio.h>

#include "cmd/warren/cri.h"

/* Run, create, start */

struct pull_options {
    bool no_pull, with_pull;
    const char *handler, *creds, *auth, *username, *timeout;
};

static int pull_image(struct cri *c, const Runtime__V1__ContainerConfig *config,
                      Runtime__V1__PodSandboxConfig *pod, struct error *err)
{
    Runtime__V1__PullImageRequest q = RUNTIME__V1__PULL_IMAGE_REQUEST__INIT;
    q.image = config->image;
    q.sandbox_config = pod;
    return cri_call_image(c, "PullImage", CRI_SLOW, &q, NULL, err);
}

static int create(struct cri *c, const char *pod_id, Runtime__V1__ContainerConfig *config,
                  Runtime__V1__PodSandboxConfig *pod, bool with_pull, const char **ret_id,
                  struct error *err)
{
    Runtime__V1__CreateContainerRequest q = RUNTIME__V1__CREATE_CONTAINER_REQUEST__INIT;
    Runtime__V1__CreateContainerResponse *a;
    int r = with_pull ? pull_image(c, config, pod, err) : 0;
    if (r < 0)
        return r;
    q.pod_sandbox_id = (char *)(uintptr_t)pod_id;
    q.config = config;
    q.sandbox_config = pod;
    r = cri_call(c, "CreateContainer", CRI_SLOW, &q, &a, err);
    if (r == 0)
        *ret_id = a->container_id;
    return r;
}

static int start(struct cri *c, const char *id, struct error *err)
{
    Runtime__V1__StartContainerRequest q = RUNTIME__V1__START_CONTAINER_REQUEST__INIT;
    q.container_id = (char *)(uintptr_t)id;
    int r = cri_call(c, "StartContainer", CRI_SLOW, &q, NULL, err);
    if (r < 0)
        return fail_in(err, r, "starting the container \"%s\"", id);
    printf("%s\n", id);
    return 0;
}

#define PULL_OPTIONS(p)                                                                            \
    {"no-pull", 0, CRI_FLAG, &(p).no_pull, "Do not pull the image (the default)"},                 \
        {"with-pull", 0, CRI_FLAG, &(p).with_pull, "Pull the image on container creation"},        \
        {"creds", 0, CRI_TEXT, &(p).creds, "Credentials for the registry"},                        \
        {"auth", 0, CRI_TEXT, &(p).auth, "Authentication string for the registry"},                \
        {"username", 'u', CRI_TEXT, &(p).username, "User name for the registry"},                  \
    {                                                                                              \
        "cancel-timeout", 'T', CRI_TEXT, &(p).timeout, "Accepted; the engine has its own limits"   \
    }

int cri_run_container(struct cri *c, int argc, char **argv, struct error *err)
{
    struct pull_options p = {0};
    const struct cri_option options[] = {
        PULL_OPTIONS(p), {"runtime", 'r', CRI_TEXT, &p.handler, "Runtime handler to use"}};
    Runtime__V1__RunPodSandboxRequest q = RUNTIME__V1__RUN_POD_SANDBOX_REQUEST__INIT;
    Runtime__V1__RunPodSandboxResponse *a;
    Runtime__V1__ContainerConfig *config;
    const char *id;
    int rest, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (argc - rest != 2)
        return cri_wrong_arguments(c, err);
    /* a container's config that cannot be read must not leave a pod */
    r = cri_load_container(c, argv[rest], &config, err);
    if (r == 0)
        r = cri_load_pod(c, argv[rest + 1], &q.config, err);
    if (r < 0)
        return fail_in(err, r, "running container");
    q.runtime_handler = (char *)(uintptr_t)str_or_empty(p.handler);
    r = cri_call(c, "RunPodSandbox", CRI_SLOW, &q, &a, err);
    if (r < 0)
        return fail_in(err, r, "running container: run pod sandbox");
    r = create(c, a->pod_sandbox_id, config, q.config, p.with_pull && !p.no_pull, &id, err);
    if (r < 0)
        return fail_in(err, r, "running container: creating container failed");
    r = start(c, id, err);
    return r < 0 ? fail_in(err, r, "running container") : 0;
}

int cri_create(struct cri *c, int argc, char **argv, struct error *err)
{
    struct pull_options p = {0};
    const struct cri_option options[] = {PULL_OPTIONS(p)};
    Runtime__V1__ContainerConfig *config;
    Runtime__V1__PodSandboxConfig *pod;
    const char *id;
    int rest, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (argc - rest != 3)
        return cri_wrong_arguments(c, err);
    r = cri_load_container(c, argv[rest + 1], &config, err);
    if (r == 0)
        r = cri_load_pod(c, argv[rest + 2], &pod, err);
    if (r == 0)
        r = create(c, argv[rest], config, pod, p.with_pull && !p.no_pull, &id, err);
    if (r < 0)
        return fail_in(err, r, "creating container");
    printf("%s\n", id);
    return 0;
}

int cri_start(struct cri *c, int argc, char **argv, struct error *err)
{
    int rest, r = cri_options(c, NULL, 0, argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (rest == argc)
        return cri_wrong_arguments(c, err);
    for (int i = rest; i < argc && r == 0; i++)
        r = start(c, argv[i], err);
    return r;
}

/* Stop, rm */

static int stop(struct cri *c, const char *id, int64_t timeout, bool print, struct error *err)
{
    Runtime__V1__StopContainerRequest q = RUNTIME__V1__STOP_CONTAINER_REQUEST__INIT;
    q.container_id = (char *)(uintptr_t)id;
    q.timeout = timeout;
    int r = cri_call(c, "StopContainer", CRI_SLOW, &q, NULL, err);
    if (r < 0)
        return fail_in(err, r, "stopping the container \"%s\"", id);
    if (print)
        printf("%s\n", id);
    return 0;
}

static int remove_one(struct cri *c, const char *id, bool force, struct error *err)
{
    Runtime__V1__ContainerStatusRequest s = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;
    Runtime__V1__ContainerStatusResponse *a;
    Runtime__V1__RemoveContainerRequest q = RUNTIME__V1__REMOVE_CONTAINER_REQUEST__INIT;
    s.container_id = q.container_id = (char *)(uintptr_t)id;
    int r = cri_call(c, "ContainerStatus", CRI_AT_ONCE, &s, &a, err);
    if (r < 0)
        return fail_in(err, r, "getting the status of container \"%s\"", id);
    if (a->status && a->status->state == RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING) {
        if (!force)
            return fail_plain(err, EBUSY, "container \"%s\" is running, please stop it first", id);
        r = stop(c, id, 0, false, err);
        if (r < 0)
            return r;
    }
    r = cri_call(c, "RemoveContainer", CRI_SLOW, &q, NULL, err);
    if (r < 0)
        return fail_in(err, r, "removing container \"%s\"", id);
    printf("%s\n", id);
    return 0;
}

static int list_all(struct cri *c, bool running, Runtime__V1__ListContainersResponse **ret,
                    struct error *err)
{
    Runtime__V1__ListContainersRequest q = RUNTIME__V1__LIST_CONTAINERS_REQUEST__INIT;
    Runtime__V1__ContainerFilter filter = RUNTIME__V1__CONTAINER_FILTER__INIT;
    Runtime__V1__ContainerStateValue state = RUNTIME__V1__CONTAINER_STATE_VALUE__INIT;
    state.state = RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING;
    filter.state = running ? &state : NULL;
    q.filter = &filter;
    return cri_call_list(c, "ListContainers", &q, ret, err);
}

int cri_stop(struct cri *c, int argc, char **argv, struct error *err)
{
    int64_t timeout = 0;
    bool all = false;
    const struct cri_option options[] = {
        {"timeout", 't', CRI_NUMBER, &timeout,
         "Seconds to wait to kill the container after a graceful stop is requested"},
        {"all", 'a', CRI_FLAG, &all, "Stop all running containers"},
    };
    Runtime__V1__ListContainersResponse *list;
    int rest, failed = 0, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (!all && rest == argc)
        return cri_wrong_arguments(c, err);
    for (int i = rest; i < argc && !all; i++)
        cri_note(stop(c, argv[i], timeout, true, err), &failed, err);
    r = all ? list_all(c, true, &list, err) : 0;
    if (r < 0)
        return r;
    for (size_t i = 0; all && i < list->n_containers; i++)
        cri_note(stop(c, list->containers[i]->id, timeout, true, err), &failed, err);
    return failed < 0 ? fail_plain(err, failed, "unable to stop container(s)") : 0;
}

int cri_rm(struct cri *c, int argc, char **argv, struct error *err)
{
    bool force = false, all = false, keep = false;
    const struct cri_option options[] = {
        {"force", 'f', CRI_FLAG, &force, "Force removal of the container, disregarding if running"},
        {"all", 'a', CRI_FLAG, &all, "Remove all containers"},
        {"keep-logs", 'k', CRI_FLAG, &keep,
         "Preserve the log file (removal never touches it here)"},
    };
    Runtime__V1__ListContainersResponse *list;
    int rest, failed = 0, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (!all && rest == argc)
        return cri_wrong_arguments(c, err);
    for (int i = rest; i < argc && !all; i++)
        cri_note(remove_one(c, argv[i], force, err), &failed, err);
    r = all ? list_all(c, false, &list, err) : 0;
    if (r < 0)
        return r;
    for (size_t i = 0; all && i < list->n_containers; i++)
        cri_note(remove_one(c, list->containers[i]->id, force, err), &failed, err);
    return failed < 0 ? fail_plain(err, failed, "unable to remove container(s)") : 0;
}

/* Update, exec */

int cri_update(struct cri *c, int argc, char **argv, struct error *err)
{
    Runtime__V1__LinuxContainerResources linux = RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT;
    const char *cpus = NULL, *mems = NULL;
    const struct cri_option options[] = {
        {"cpu-period", 0, CRI_NUMBER, &linux.cpu_period, "CPU CFS period (in usecs)"},
        {"cpu-quota", 0, CRI_NUMBER, &linux.cpu_quota, "CPU CFS hardcap limit (in usecs)"},
        {"cpu-share", 0, CRI_NUMBER, &linux.cpu_shares, "CPU shares (relative weight)"},
        {"memory", 0, CRI_NUMBER, &linux.memory_limit_in_bytes, "Memory limit (in bytes)"},
        {"oom-score-adj", 0, CRI_NUMBER, &linux.oom_score_adj, "OOM killer score to use"},
        {"cpuset-cpus", 0, CRI_TEXT, &cpus, "CPU(s) to use"},
        {"cpuset-mems", 0, CRI_TEXT, &mems, "Memory node(s) to use"},
    };
    int rest, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (rest == argc)
        return cri_wrong_arguments(c, err);
    linux.cpuset_cpus = (char *)(uintptr_t)str_or_empty(cpus);
    linux.cpuset_mems = (char *)(uintptr_t)str_or_empty(mems);
    for (int i = rest; i < argc; i++) {
        Runtime__V1__UpdateContainerResourcesRequest q =
            RUNTIME__V1__UPDATE_CONTAINER_RESOURCES_REQUEST__INIT;
        q.container_id = argv[i];
        q.linux = &linux;
        r = cri_call(c, "UpdateContainerResources", CRI_SLOW, &q, NULL, err);
        if (r < 0)
            return fail_in(err, r, "updating container resources for \"%s\"", argv[i]);
        printf("%s\n", argv[i]);
    }
    return 0;
}

int cri_exec(struct cri *c, int argc, char **argv, struct error *err)
{
    bool sync = false, tty = false, interactive = false;
    int64_t timeout = 0;
    const char *transport = NULL;
    const struct cri_option options[] = {
        {"sync", 's', CRI_FLAG, &sync, "Run the command synchronously"},
        {"timeout", 0, CRI_NUMBER, &timeout, "Timeout in seconds"},
        {"tty", 't', CRI_FLAG, &tty, "Allocate a pseudo-TTY"},
        {"interactive", 'i', CRI_FLAG, &interactive, "Keep STDIN open"},
        {"transport", 'r', CRI_TEXT, &transport, "Transport protocol of streaming"},
    };
    Runtime__V1__ExecSyncRequest q = RUNTIME__V1__EXEC_SYNC_REQUEST__INIT;
    Runtime__V1__ExecSyncResponse *a;
    int rest, r = cri_options(c, options, ARRAY_SIZE(options), argc, argv, &rest, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (argc - rest < 2)
        return cri_wrong_arguments(c, err);
    if (!sync || tty || interactive)
        return fail_plain(err, EOPNOTSUPP,
                          "exec without --sync, and with a terminal or standard input, needs "
                          "streaming, which Warren does not have yet; use exec --sync");
    q.container_id = argv[rest];
    q.cmd = argv + rest + 1;
    q.n_cmd = (size_t)(argc - rest - 1);
    q.timeout = timeout;
    r = cri_call(c, "ExecSync", CRI_SLOW, &q, &a, err);
    if (r < 0)
        return fail_in(err, r, "execing command in container %s synchronously", argv[rest]);
    fwrite(a->stdout.data, 1, a->stdout.len, stdout);
    fflush(stdout);
    fwrite(a->stderr.data, 1, a->stderr.len, stderr);
    if (!a->exit_code)
        return 0;
    fprintf(stderr, "non-zero exit code\n");
    return a->exit_code;
}
