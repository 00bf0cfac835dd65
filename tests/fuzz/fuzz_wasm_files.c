/* SPDX-License-Identifier: Apache-2.0 */
/* A request of a worker to its files process: what is taken for one is one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wasm/files/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct files_request r, again;
    struct buffer packet = {0};
    if (files_get_request(data, len, &r) < 0)
        return 0;
    if (files_put_request(&packet, &r) < 0 ||
        files_get_request(packet.data, packet.len, &again) < 0 || strcmp(r.path, again.path) != 0 ||
        strcmp(r.to_base, again.to_base) != 0 || r.op != again.op || r.flags != again.flags)
        abort();
    buffer_done(&packet);
    return 0;
}
