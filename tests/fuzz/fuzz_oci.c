/* SPDX-License-Identifier: Apache-2.0 */
/* Reads any bytes as a spec; what could be read prints and reads again to the same text. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "oci/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto(arena) struct arena a = {0};
    auto(buffer) struct buffer first = {0}, second = {0};
    struct error err = {0};
    struct oci_spec *spec;
    if (oci_spec_parse(data, size, &a, &spec, &err) < 0)
        return 0;
    if (oci_spec_print(spec, &first, &err) < 0 ||
        oci_spec_parse(first.data, first.len, &a, &spec, &err) < 0 ||
        oci_spec_print(spec, &second, &err) < 0 || first.len != second.len ||
        memcmp(first.data, second.data, first.len) != 0)
        abort();
    return 0;
}
