/* SPDX-License-Identifier: Apache-2.0 */
/* References; an expanded one must expand to itself and be found again behind its short form. */
#include <stdlib.h>

#include "base/base.h"
#include "image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autofree char *text = strndup((const char *)data, size);
    autofree char *full = NULL, *again = NULL, *back = NULL;
    if (image_reference_expand(text, &full, NULL) < 0)
        return 0;
    if (image_reference_expand(full, &again, NULL) < 0 || !str_eq(full, again))
        abort();
    autofree char *familiar = image_reference_short(full);
    if (image_reference_expand(familiar, &back, NULL) < 0 || !str_eq(full, back))
        abort();
    return 0;
}
