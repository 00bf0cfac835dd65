/* SPDX-License-Identifier: Apache-2.0 */
#include "base/id.h"

#include <stdlib.h>
#include <sys/random.h>

void id_new(char id[ID_LEN + 1])
{
    unsigned char bytes[ID_LEN / 2];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        abort();
    for (int i = 0; i < ID_LEN; i++)
        id[i] = "0123456789abcdef"[bytes[i / 2] >> (i % 2 ? 0 : 4) & 15];
    id[ID_LEN] = 0;
}
