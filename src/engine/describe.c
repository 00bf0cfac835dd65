/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/describe.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "engine/files.h"
#include "engine/spec.h"

Runtime__V1__PodSandboxConfig *describe_pod(const struct pod_record *p, struct error *err)
{
    Runtime__V1__PodSandboxConfig *config =
        runtime__v1__pod_sandbox_config__unpack(NULL, p->pod.config.len, p->pod.config.data);
    if (!config)
        fail_plain(err, EIO, "the record of pod %s is damaged", p->pod.id);
    return config;
}

Runtime__V1__ContainerConfig *describe_config(const struct container_record *c, struct error *err)
{
    Runtime__V1__ContainerConfig *config = runtime__v1__container_config__unpack(
        NULL, c->container.config.len, c->container.config.data);
    if (!config)
        fail_plain(err, EIO, "the record of container %s is damaged", c->container.id);
    return config;
}

static struct spec_input input(const struct container_record *c,
                               const Runtime__V1__PodSandboxConfig *pod,
                               const Runtime__V1__ContainerConfig *config,
                               const struct image *image, const char *etc_dir)
{
    return (struct spec_input){.pod_id = c->container.pod->id,
                               .container_id = c->container.id,
                               .pod = pod,
                               .container = config,
                               .image = &image->config,
                               .wasm = !record_pod(c)->handler->linux,
                               .etc_dir = etc_dir};
}

static void take_text(struct buffer *text, struct packed *ret)
{
    ret->len = text->len;
    ret->data = (uint8_t *)buffer_take_text(text);
}

int describe_container(struct engine *e, const struct container_record *c,
                       const Runtime__V1__PodSandboxConfig *pod,
                       const Runtime__V1__ContainerConfig *config, const struct image *image,
                       struct packed *ret, struct error *err)
{
    auto(buffer) struct buffer text = {0};
    autofree char *etc_dir = files_etc_dir(e, record_pod(c));
    struct spec_input in = input(c, pod, config, image, etc_dir);
    int r = spec_build(&in, &text, err);
    if (r == 0)
        take_text(&text, ret);
    return r;
}

int describe_exec(struct engine *e, const struct container_record *c, char *const *argv,
                  struct packed *ret, struct error *err)
{
    auto(buffer) struct buffer text = {0};
    auto(image) struct image *image = NULL;
    auto(described_pod) Runtime__V1__PodSandboxConfig *pod = describe_pod(record_pod(c), err);
    auto(described_container) Runtime__V1__ContainerConfig *config =
        pod ? describe_config(c, err) : NULL;
    if (!config)
        return -EIO;
    int r = image_find(e->images, c->container.image_id, &image, err);
    if (r < 0)
        return r;
    struct spec_input in = input(c, pod, config, image, NULL);
    r = spec_build_exec(&in, argv, false, &text, err);
    if (r == 0)
        take_text(&text, ret);
    return r;
}

/* "SIGTERM", "TERM" or "15"; 0 for what is none. */
static int parse_signal(const char *text)
{
    int64_t number;
    if (str_empty(text))
        return 0;
    if (str_parse_int(text, 1, SIGRTMAX, &number) == 0)
        return (int)number;
    const char *name = str_after(text, "SIG");
    name = name ? name : text;
    const char *plus = str_after(name, "RTMIN+");
    if (plus && str_parse_int(plus, 0, SIGRTMAX - 34, &number) == 0)
        return 34 + (int)number; /* the kernel's SIGRTMIN is 32, glibc's and everybody's 34 */
    plus = str_after(name, "RTMAX-");
    if (plus && str_parse_int(plus, 0, SIGRTMAX - 34, &number) == 0)
        return SIGRTMAX - (int)number;
    if (str_eq(name, "RTMIN") || str_eq(name, "RTMAX"))
        return str_eq(name, "RTMIN") ? 34 : SIGRTMAX;
    if (str_eq(name, "IOT") || str_eq(name, "CLD") || str_eq(name, "POLL"))
        return *name == 'I' ? SIGIOT : *name == 'C' ? SIGCHLD : SIGPOLL;
    for (int i = 1; i < 32; i++) {
        const char *known = sigabbrev_np(i);
        if (known && str_eq(known, name))
            return i;
    }
    return 0;
}

static int configured_signal(const struct container_record *c)
{
    auto(described_container) Runtime__V1__ContainerConfig *config = describe_config(c, NULL);
    if (!config || config->stop_signal == RUNTIME__V1__SIGNAL__SIGNAL_RUNTIME_DEFAULT)
        return 0;
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(
        &runtime__v1__signal__descriptor, (int)config->stop_signal);
    const char *name = value ? str_after(value->name, "SIGNAL_") : NULL;
    if (!name)
        return 0;
    /* CRI writes SIGRTMINPLUS3 for SIGRTMIN+3 */
    autofree char *plain = NULL;
    const char *offset;
    if ((offset = str_after(name, "SIGRTMINPLUS")))
        plain = str_format("SIGRTMIN+%s", offset);
    else if ((offset = str_after(name, "SIGRTMAXMINUS")))
        plain = str_format("SIGRTMAX-%s", offset);
    return parse_signal(plain ? plain : name);
}

int describe_stop_signal(struct engine *e, const struct container_record *c)
{
    int signal = configured_signal(c);
    auto(image) struct image *image = NULL;
    if (!signal && image_find(e->images, c->container.image_id, &image, NULL) == 0)
        signal = parse_signal(image->config.stop_signal);
    return signal ? signal : SIGTERM;
}
