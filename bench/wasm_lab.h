/* SPDX-License-Identifier: Apache-2.0 */
/* The wasm technique for benches: the supervisor's functions are called as its servers call them, workers are real; no RPC and no engine.
 * What fails ends the bench. */
#pragma once

#include "sandbox/server.h"
#include "wasm/supervisor/supervisor.h"

struct error;

extern struct wasm_lab {
    char dir[64];
    struct wasm *wasm;
    struct sandboxer *sandboxer;
} lab;

void lab_die(const struct error *err);
/* In a directory of its own, where images have the file module as /NAME. Workers of builds are beside the bench. */
void lab_open(const char *module, const char *name);
void lab_close(void);
/* In a coroutine, as what is below: finds what there is, which is nothing. */
void lab_recover(void);
void lab_start_pod(const char *id);
/* process, more: members of the spec's process, of the spec (with a comma before). Its log is DIR/logs/ID. */
void lab_start(const char *pod, const char *id, const char *process, const char *more);
