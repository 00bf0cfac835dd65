/* SPDX-License-Identifier: Apache-2.0 */
/* Frames between the wasm supervisor and its workers: each side reads what the other, taken over, may send. */
#include <stdint.h>
#include <stdlib.h>

#include "wasm/wire_create.h"
#include "wasm/wire_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct wire_reader r;
    size_t used;
    while (wire_frame(data, len, &r, &used) > 0) {
        struct wire_reader again = r;
        struct wire_create c;
        struct wire_files f;
        struct wire_reader files = r;
        if (wire_get_create(&r, &c) == 0)
            wire_create_done(&c);
        if (wire_get_files(&files, &f) == 0)
            wire_files_done(&f);
        while (!again.bad && again.left) {
            wire_text(&again);
            free(wire_list(&again));
            wire_number(&again);
        }
        data += used;
        len -= used;
    }
    return 0;
}
