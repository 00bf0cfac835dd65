/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

struct error;
struct wasm_options;

/* Reads the JSON file into o: "tenant" ("namespace", "node", "pod"), "pods-per-worker", "threads" (of a worker, 0: by the cores),
 * "memory-limit" (bytes of a container whose spec has none), "cache-size" (bytes of compiled modules), "worker-uids" (the first of
 * the range that workers' and compilers' uids are of), "isolation" ("preferred", "required"). An unknown key or a bad value is -EINVAL with its name. */
int config_read(const char *path, struct wasm_options *o, struct error *err);
