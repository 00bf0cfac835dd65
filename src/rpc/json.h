/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf-c's messages as JSON and back, by their descriptors, as protobuf's JSON mapping has it: names in camelCase,
 * 64-bit integers as text, enums by name, bytes in base64, maps as objects. Part of rpc_json_dep. */
#pragma once

#include <json-c/json.h>

#include "base/arena.h"
#include "rpc/rpc.h"

struct error;

/* Every field, with its default where it is not set; messages that are not there are left out. NULL where memory is
 * out; the caller puts it. */
json_object *json_of_message(const ProtobufCMessage *message);

/* From what a user wrote: names in snake_case or camelCase, enums by number or name, 64-bit integers as number or text.
 * plain_bytes: bytes are written as they are, not in base64 (kubernetes' Go types have CRI's KeyValue.value so).
 * An unknown key is told to unknown (may be NULL) with its place ("linux.resources.cpu"), and skipped. -EINVAL with
 * the place and what was expected. *ret lives in arena. */
int json_to_message(json_object *json, const ProtobufCMessageDescriptor *type, struct arena *arena,
                    bool plain_bytes, void (*unknown)(const char *place), void **ret,
                    struct error *err);
