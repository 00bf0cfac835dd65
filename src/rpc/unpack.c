/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf-c's messages in an arena. */
#include "base/arena.h"
#include "rpc/rpc.h"

/* A message of a few bytes can ask for much memory (a repeated field of empty messages: 2 bytes
 * each on the wire), so what one may use is bounded by what it is long. */
enum { UNPACK_LEAST = 1 << 20, UNPACK_FACTOR = 64, UNPACK_MOST = 256 << 20 };

struct allowance {
    struct arena *arena;
    size_t left;
};

static void *allocate(void *data, size_t size)
{
    struct allowance *a = data;
    if (size > a->left)
        return NULL;
    a->left -= size;
    return arena_alloc(a->arena, size);
}

static void release(void *data, void *p)
{
    (void)data, (void)p; /* with the arena */
}

void *rpc_unpack(const ProtobufCMessageDescriptor *type, struct arena *arena, const void *data,
                 size_t len)
{
    size_t most =
        len > UNPACK_MOST / UNPACK_FACTOR ? UNPACK_MOST : UNPACK_LEAST + len * UNPACK_FACTOR;
    struct allowance a = {arena, most};
    ProtobufCAllocator allocator = {.alloc = allocate, .free = release, .allocator_data = &a};
    return protobuf_c_message_unpack(type, &allocator, len, data ? data : (const uint8_t *)"");
}
