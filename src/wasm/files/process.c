/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"
#include "wasm/files/files.h"

int files_run(const struct files_options *options, struct error *err)
{
    char bytes[256];
    for (;;) {
        ssize_t n = recv(options->records, bytes, sizeof bytes, 0);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return fail(err, errno, "read the worker's records");
    }
}
