/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/base.h"
#include "docker/answer.h"
#include "docker/messages.h"
#include "image/image.h"
#include "image/json.h"

#define API     "1.47"
#define API_MIN "1.24"
_Static_assert(DOCKER_API_MAJOR == 1 && DOCKER_API_MINOR == 47 && DOCKER_API_MINOR_MIN == 24,
               "the texts above");

/* Answers */

void answer_json(struct http_request *r, int status, json_object *o)
{
    auto(buffer) struct buffer text = {0};
    if (json_print(o, &text) == 0)
        http_answer(r, status, "application/json", text.data, text.len, NULL);
    json_object_put(o);
}

void answer_message(struct http_request *r, int status, const char *format, ...)
{
    auto(buffer) struct buffer text = {0};
    va_list args;
    va_start(args, format);
    int status_of_print = buffer_vprintf(&text, format, args);
    va_end(args);
    if (status_of_print == 0)
        answer_json(r, status, error_json(buffer_text(&text)));
}

void answer_error(struct http_request *r, const struct error *err)
{
    static const struct {
        int code, status;
    } statuses[] = {{-ENOENT, 404}, {-EINVAL, 400}, {-EBUSY, 409},   {-EEXIST, 409},
                    {-E2BIG, 400},  {-EFBIG, 400},  {-ENOTSUP, 501}, {-ERANGE, 400}};
    int status = 500;
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
        if (statuses[i].code == err->code)
            status = statuses[i].status;
    answer_message(r, status, "%s", err->message);
}

bool query_flag(const struct http_request *r, const char *name)
{
    const char *value = http_query(r, name);
    return value && *value && !str_eq(value, "0") && strcasecmp(value, "false") != 0 &&
           strcasecmp(value, "no") != 0 && strcasecmp(value, "none") != 0;
}

char **query_all(const struct http_request *r, const char *name)
{
    enum { VALUES_MAX = 1000 };
    auto(strv) char **values = NULL;
    const char *value;
    for (size_t i = 0; i < VALUES_MAX && (value = http_query_at(r, name, i)); i++)
        if (strv_add(&values, value) < 0)
            return NULL;
    return take_ptr(&values);
}

int query_json(const struct http_request *r, const char *name, json_object **ret, struct error *err)
{
    const char *text = http_query(r, name);
    *ret = NULL;
    return str_empty(text) ? 0 : json_parse(name, text, strlen(text), ret, err);
}

/* What the engine is */

static const char *architecture(const char *machine)
{
    return str_eq(machine, "x86_64") ? "amd64" : str_eq(machine, "aarch64") ? "arm64" : machine;
}

static void serve_version(struct http_request *r)
{
    struct utsname u;
    uname(&u);
    const struct version_message v = {
        .version = WARREN_VERSION,
        .api_version = API,
        .min_api_version = API_MIN,
        .os = "linux",
        .architecture = architecture(u.machine),
        .kernel = u.release,
    };
    answer_json(r, 200, version_json(&v));
}

static void serve_ping(struct http_request *r)
{
    http_set_header(r, "Builder-Version", "1");
    http_set_header(r, "Cache-Control", "no-cache, no-store, must-revalidate");
    http_set_header(r, "Pragma", "no-cache");
    http_answer(r, 200, "text/plain; charset=utf-8", "OK", 2, NULL);
}

void serve_info(struct docker *d, struct http_request *r)
{
    struct utsname u;
    struct sysinfo system = {0};
    struct image **images = NULL;
    size_t count = 0;
    uname(&u);
    sysinfo(&system);
    if (image_list(d->images, &images, NULL) == 0)
        for (; images[count]; count++)
            image_unref(images[count]);
    free(images);
    json_object *o = json_object_new_object();
    json_object_object_add(o, "ID", json_string(u.nodename));
    json_object_object_add(o, "Name", json_string(u.nodename));
    json_object_object_add(o, "Images", json_object_new_int64((int64_t)count));
    json_object_object_add(o, "Driver", json_string("overlayfs"));
    json_object_object_add(o, "OSType", json_string("linux"));
    json_object_object_add(o, "Architecture", json_string(u.machine));
    json_object_object_add(o, "KernelVersion", json_string(u.release));
    json_object_object_add(o, "NCPU", json_object_new_int64(sysconf(_SC_NPROCESSORS_ONLN)));
    json_object_object_add(o, "MemTotal",
                           json_object_new_uint64((uint64_t)system.totalram * system.mem_unit));
    json_object_object_add(o, "ServerVersion", json_string(WARREN_VERSION));
    json_object *warnings = json_object_new_array();
    json_object_array_add(warnings, json_string("WARNING: containers are not counted here yet: see "
                                                "warren cri ps"));
    json_object_object_add(o, "Warnings", warnings);
    answer_json(r, 200, o);
}

/* Routes */

static bool is_get(const struct http_request *r)
{
    return str_eq(http_method(r), "GET");
}

static bool is_post(const struct http_request *r)
{
    return str_eq(http_method(r), "POST");
}

static void serve_image_named(struct docker *d, struct http_request *r, const char *rest)
{
    static const struct {
        const char *end, *method;
        void (*serve)(struct docker *d, struct http_request *r, const char *name);
    } routes[] = {{"/json", "GET", serve_image_inspect},
                  {"/history", "GET", serve_image_history},
                  {"/tag", "POST", serve_image_tag}};
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        if (!str_ends(rest, routes[i].end) || !str_eq(http_method(r), routes[i].method))
            continue;
        autofree char *name = strndup(rest, strlen(rest) - strlen(routes[i].end));
        if (name)
            routes[i].serve(d, r, name);
        return;
    }
    if (is_get(r) && str_ends(rest, "/get")) {
        autofree char *name = strndup(rest, strlen(rest) - strlen("/get"));
        serve_images_save(d, r, (char *const[]){name, NULL});
    } else if (str_eq(http_method(r), "DELETE")) {
        serve_image_remove(d, r, rest);
    } else if (is_post(r) && str_ends(rest, "/push")) {
        answer_message(r, 501, "images cannot be pushed yet: save it (warren save -o FILE)");
    } else {
        answer_message(r, 404, "page not found");
    }
}

static void serve_images(struct docker *d, struct http_request *r, const char *rest)
{
    if (is_get(r) && str_eq(rest, "json")) {
        serve_images_list(d, r);
    } else if (is_post(r) && str_eq(rest, "load")) {
        serve_images_load(d, r);
    } else if (is_get(r) && str_eq(rest, "get")) {
        auto(strv) char **names = query_all(r, "names");
        serve_images_save(d, r, names);
    } else if (is_post(r) && str_eq(rest, "create")) {
        answer_message(r, 501,
                       "images cannot be pulled or imported yet: load one that was saved "
                       "elsewhere (warren load -i FILE)");
    } else if (is_post(r) && str_eq(rest, "prune")) {
        answer_message(r, 501, "images cannot be pruned yet: remove them by name (warren rmi)");
    } else {
        serve_image_named(d, r, rest);
    }
}

/* The parts of the API that Warren will have and has not. */
static bool is_known(const char *path)
{
    static const char *const roots[] = {
        "/containers", "/networks", "/volumes", "/exec",    "/events",  "/system",
        "/auth",       "/commit",   "/session", "/grpc",    "/swarm",   "/services",
        "/tasks",      "/nodes",    "/secrets", "/configs", "/plugins", "/distribution"};
    for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
        const char *rest = str_after(path, roots[i]);
        if (rest && (!*rest || *rest == '/'))
            return true;
    }
    return false;
}

/* "/v1.47/x" is "/x"; false where the version is one that is not spoken, which is answered. */
static bool strip_version(struct http_request *r, const char **path)
{
    const char *version = str_after(*path, "/v");
    unsigned major, minor;
    int end = 0;
    if (!version || sscanf(version, "%3u.%3u%n", &major, &minor, &end) != 2 || version[end] != '/')
        return true;
    *path = version + end;
    if (major == DOCKER_API_MAJOR && minor >= DOCKER_API_MINOR_MIN && minor <= DOCKER_API_MINOR)
        return true;
    bool old = major < DOCKER_API_MAJOR || minor < DOCKER_API_MINOR_MIN;
    answer_message(r, 400, "client version %u.%u is too %s. %s supported API version is %s", major,
                   minor, old ? "old" : "new", old ? "Minimum" : "Maximum", old ? API_MIN : API);
    return false;
}

void docker_serve(struct http_request *r, void *context)
{
    struct docker *d = context;
    const char *path = http_path(r);
    http_set_header(r, "Api-Version", API);
    http_set_header(r, "Ostype", "linux");
    http_set_header(r, "Docker-Experimental", "false");
    http_set_header(r, "Server", "Warren/" WARREN_VERSION " (linux)");
    if (!strip_version(r, &path))
        return;
    bool head = str_eq(http_method(r), "HEAD");
    const char *rest;
    if (str_eq(path, "/_ping") && (is_get(r) || head))
        serve_ping(r);
    else if (str_eq(path, "/version") && is_get(r))
        serve_version(r);
    else if (str_eq(path, "/info") && is_get(r))
        serve_info(d, r);
    else if (str_eq(path, "/build") && is_post(r))
        serve_build(d, r);
    else if ((rest = str_after(path, "/images/")))
        serve_images(d, r, rest);
    else if (is_known(path))
        answer_message(
            r, 501,
            "Warren's Docker API has images and builds so far, and not %s; containers run "
            "by CRI (warren cri run)",
            path);
    else
        answer_message(r, 404, "page not found");
}
