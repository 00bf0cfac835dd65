/* SPDX-License-Identifier: Apache-2.0 */
#include "wasm/supervisor/choose.h"

#include <errno.h>

#include "base/base.h"
#include "oci/spec.h"

enum { SHARES_OF_A_CPU = 1024, PERIOD_DEFAULT = 100000 };

static bool asks_for_a_cpu(const struct oci_spec *spec)
{
    const struct oci_cpu *cpu =
        spec->linux_ && spec->linux_->resources ? spec->linux_->resources->cpu : NULL;
    if (!cpu)
        return false;
    if (cpu->shares && *cpu->shares >= SHARES_OF_A_CPU)
        return true;
    uint64_t period = cpu->period && *cpu->period ? *cpu->period : PERIOD_DEFAULT;
    return cpu->quota && *cpu->quota > 0 && (uint64_t)*cpu->quota >= period;
}

int choose_profile(const struct oci_spec *spec, uint64_t memory, enum wasm_profile *ret,
                   struct error *err)
{
    const char *word = oci_annotation(spec, ANNOTATION_PROFILE);
    if (word && !wasm_profile_parse(word, ret))
        return fail_plain(
            err, EINVAL, "annotation " ANNOTATION_PROFILE ": expected dense or busy, found '%.64s'",
            word);
    if (!word)
        *ret = memory >= BUSY_MEMORY || asks_for_a_cpu(spec) ? WASM_BUSY : WASM_DENSE;
    return 0;
}
