/* SPDX-License-Identifier: Apache-2.0 */
/* What the sandboxers read from outside: records that a holder gives back, and the tasks extension. The first byte chooses. */
#include <stdint.h>

#include "base/arena.h"
#include "sandbox/record.h"
#include "sandbox/tasks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    auto(arena) struct arena arena = {0};
    struct record record;
    struct sandbox_tasks *tasks = NULL;
    if (!len)
        return 0;
    if (*data == 'S')
        record_read_sandbox(data, len, &arena, &record, NULL);
    else if (*data == 'P')
        record_read_process(data, len, &arena, &record, NULL);
    else if (sandbox_tasks_parse(data + 1, len - 1, &tasks, NULL) == 0)
        sandbox_tasks_free(tasks);
    return 0;
}
