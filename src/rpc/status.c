/* SPDX-License-Identifier: Apache-2.0 */
/* The one table between errno and gRPC's status codes. */
#include <errno.h>

#include "base/str.h"
#include "rpc/wire.h"

/* The first row of a status is the errno it turns back into. */
static const struct {
    int code;
    enum rpc_status status;
} table[] = {
    {0, RPC_OK},
    {ECANCELED, RPC_CANCELLED},
    {EIO, RPC_UNKNOWN},
    {EINVAL, RPC_INVALID_ARGUMENT},
    {ENAMETOOLONG, RPC_INVALID_ARGUMENT},
    {ETIMEDOUT, RPC_DEADLINE_EXCEEDED},
    {ETIME, RPC_DEADLINE_EXCEEDED},
    {ENOENT, RPC_NOT_FOUND},
    {ESRCH, RPC_NOT_FOUND},
    {EEXIST, RPC_ALREADY_EXISTS},
    {EACCES, RPC_PERMISSION_DENIED},
    {EPERM, RPC_PERMISSION_DENIED},
    {ENOSPC, RPC_RESOURCE_EXHAUSTED},
    {ENOMEM, RPC_RESOURCE_EXHAUSTED},
    {EMFILE, RPC_RESOURCE_EXHAUSTED},
    {ENFILE, RPC_RESOURCE_EXHAUSTED},
    {E2BIG, RPC_RESOURCE_EXHAUSTED},
    {EMSGSIZE, RPC_RESOURCE_EXHAUSTED},
    {EDQUOT, RPC_RESOURCE_EXHAUSTED},
    {EBUSY, RPC_FAILED_PRECONDITION},
    {EPROTO, RPC_FAILED_PRECONDITION},
    {EAGAIN, RPC_ABORTED},
    {ERANGE, RPC_OUT_OF_RANGE},
    {EOPNOTSUPP, RPC_UNIMPLEMENTED},
    {ENOSYS, RPC_UNIMPLEMENTED},
    {ENOTRECOVERABLE, RPC_INTERNAL},
    {ECONNREFUSED, RPC_UNAVAILABLE},
    {ECONNRESET, RPC_UNAVAILABLE},
    {EPIPE, RPC_UNAVAILABLE},
    {ENOTCONN, RPC_UNAVAILABLE},
    {EBADMSG, RPC_DATA_LOSS},
    {EKEYREJECTED, RPC_UNAUTHENTICATED},
};

static const char *const names[] = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};

enum rpc_status rpc_status_of(int code)
{
    if (code < 0)
        code = -code;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (table[i].code == code)
            return table[i].status;
    return RPC_UNKNOWN;
}

int rpc_errno_of(enum rpc_status status)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (table[i].status == status)
            return table[i].code;
    return EIO;
}

const char *rpc_status_name(enum rpc_status status)
{
    return status < ARRAY_SIZE(names) ? names[status] : "UNKNOWN";
}
