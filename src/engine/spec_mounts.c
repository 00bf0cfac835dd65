/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/spec_mounts.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/base.h"

static bool privileged(const struct spec_input *in)
{
    const Runtime__V1__LinuxContainerConfig *l = in->container->linux;
    return l && l->security_context && l->security_context->privileged;
}

static struct oci_mount *add(struct oci_spec *spec, const char *destination, const char *type,
                             const char *source, char **options)
{
    struct oci_mount *m = &spec->mounts[spec->mounts_count++];
    *m = (struct oci_mount){
        (char *)destination, (char *)type, (char *)source, options, NULL, NULL, 0, 0};
    return m;
}

static char **words(struct arena *a, const char *text)
{
    auto(strv) char **split = str_split(text, ",");
    size_t n = strv_len(split);
    char **v = arena_array(a, char *, n + 1);
    for (size_t i = 0; i < n; i++)
        v[i] = arena_strdup(a, split[i]);
    return v;
}

/* runtime-spec's config-linux.md, "Default Filesystems", and what docker adds to it. */
static void add_defaults(struct arena *a, const struct spec_input *in, struct oci_spec *spec)
{
    bool all = privileged(in);
    add(spec, "/proc", "proc", "proc", words(a, "nosuid,noexec,nodev"));
    add(spec, "/dev", "tmpfs", "tmpfs", words(a, "nosuid,strictatime,mode=755,size=65536k"));
    add(spec, "/dev/pts", "devpts", "devpts",
        words(a, "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"));
    add(spec, "/dev/shm", "tmpfs", "shm", words(a, "nosuid,noexec,nodev,mode=1777,size=65536k"));
    add(spec, "/dev/mqueue", "mqueue", "mqueue", words(a, "nosuid,noexec,nodev"));
    add(spec, "/sys", "sysfs", "sysfs",
        words(a, all ? "nosuid,noexec,nodev,rw" : "nosuid,noexec,nodev,ro"));
    add(spec, "/sys/fs/cgroup", "cgroup", "cgroup",
        words(a, all ? "nosuid,noexec,nodev,relatime,rw" : "nosuid,noexec,nodev,relatime,ro"));
}

static bool mounted_by_container(const struct spec_input *in, const char *path)
{
    for (size_t i = 0; i < in->container->n_mounts; i++)
        if (str_eq(in->container->mounts[i]->container_path, path))
            return true;
    return false;
}

static void add_etc(struct arena *a, const struct spec_input *in, struct oci_spec *spec)
{
    static const char *const files[] = {"hostname", "hosts", "resolv.conf"};
    for (size_t i = 0; in->etc_dir && i < ARRAY_SIZE(files); i++) {
        char *path = arena_printf(a, "/etc/%s", files[i]);
        if (!mounted_by_container(in, path))
            add(spec, path, "bind", arena_printf(a, "%s/%s", in->etc_dir, files[i]),
                words(a, "rbind,rprivate,rw"));
    }
}

static int add_mount(struct arena *a, size_t i, const Runtime__V1__Mount *m, struct oci_spec *spec,
                     struct error *err)
{
    static const char *const propagation[] = {"rprivate", "rslave", "rshared"};
    if (*m->container_path != '/')
        return fail_plain(err, EINVAL, "mounts[%zu].container_path: '%s' is not absolute", i,
                          m->container_path);
    if (m->image && m->image->image[0])
        return fail_plain(err, EOPNOTSUPP, "mounts[%zu].image: image volumes are not supported yet",
                          i);
    if (*m->host_path != '/')
        return fail_plain(err, EINVAL, "mounts[%zu].host_path: '%s' is not absolute", i,
                          m->host_path);
    if ((unsigned)m->propagation >= ARRAY_SIZE(propagation))
        return fail_plain(err, EINVAL, "mounts[%zu].propagation: %d is none of 0, 1, 2", i,
                          m->propagation);
    if (m->n_uidmappings || m->n_gidmappings)
        return fail_plain(err, EOPNOTSUPP, "mounts[%zu]: id-mapped mounts are not supported yet",
                          i);
    auto(buffer) struct buffer options = {0};
    if (buffer_printf(&options, "rbind,%s,%s", propagation[m->propagation],
                      m->recursive_read_only ? "rro"
                      : m->readonly          ? "ro"
                                             : "rw") < 0)
        return fail(err, ENOMEM, "mounts[%zu]", i);
    for (size_t k = 0; k < m->n_mount_options; k++)
        if (buffer_printf(&options, ",%s", m->mount_options[k]) < 0)
            return fail(err, ENOMEM, "mounts[%zu]", i);
    add(spec, arena_strdup(a, m->container_path), "bind", arena_strdup(a, m->host_path),
        words(a, buffer_text(&options)));
    return 0;
}

int spec_mounts(struct arena *a, const struct spec_input *in, struct oci_spec *spec,
                struct error *err)
{
    enum { DEFAULTS_MAX = 16 };
    spec->mounts = arena_array(a, struct oci_mount, in->container->n_mounts + DEFAULTS_MAX);
    if (!in->wasm) {
        add_defaults(a, in, spec);
        add_etc(a, in, spec);
    }
    for (size_t i = 0; i < in->container->n_mounts; i++) {
        int r = add_mount(a, i, in->container->mounts[i], spec, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int64_t *boxed(struct arena *a, int64_t value)
{
    int64_t *box = arena_new(a, int64_t);
    *box = value;
    return box;
}

static int add_device(struct arena *a, size_t i, const Runtime__V1__Device *d, struct oci_linux *l,
                      struct error *err)
{
    struct stat st;
    if (stat(d->host_path, &st) < 0)
        return fail(err, errno, "devices[%zu].host_path '%s'", i, d->host_path);
    if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
        return fail_plain(err, EINVAL, "devices[%zu].host_path: '%s' is no device", i,
                          d->host_path);
    if (d->permissions[strspn(d->permissions, "rwm")])
        return fail_plain(err, EINVAL, "devices[%zu].permissions: '%s' has more than r, w and m", i,
                          d->permissions);
    const char *type = S_ISCHR(st.st_mode) ? "c" : "b";
    uint32_t *mode = arena_new(a, uint32_t), *ids = arena_array(a, uint32_t, 2);
    *mode = st.st_mode & 0777;
    ids[0] = st.st_uid;
    ids[1] = st.st_gid;
    l->devices[l->devices_count++] = (struct oci_device){
        .path = arena_strdup(a, *d->container_path ? d->container_path : d->host_path),
        .type = (char *)type,
        .major = major(st.st_rdev),
        .minor = minor(st.st_rdev),
        .file_mode = mode,
        .uid = &ids[0],
        .gid = &ids[1],
    };
    l->resources->devices[l->resources->devices_count++] = (struct oci_device_rule){
        .allow = true,
        .type = (char *)type,
        .access = arena_strdup(a, *d->permissions ? d->permissions : "rwm"),
        .major = boxed(a, major(st.st_rdev)),
        .minor = boxed(a, minor(st.st_rdev)),
    };
    return 0;
}

int spec_devices(struct arena *a, const struct spec_input *in, struct oci_spec *spec,
                 struct error *err)
{
    struct oci_linux *l = spec->linux_;
    size_t n = in->container->n_devices;
    if (in->container->n_cdi_devices)
        return fail_plain(err, EOPNOTSUPP, "CDI_devices: CDI is not supported yet");
    l->devices = arena_array(a, struct oci_device, n + 1);
    l->resources->devices = arena_array(a, struct oci_device_rule, n + 1);
    l->resources->devices[l->resources->devices_count++] =
        (struct oci_device_rule){.allow = privileged(in), .access = (char *)"rwm"};
    for (size_t i = 0; i < n; i++) {
        int r = add_device(a, i, in->container->devices[i], l, err);
        if (r < 0)
            return r;
    }
    return 0;
}
