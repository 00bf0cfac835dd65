/* SPDX-License-Identifier: Apache-2.0 */
/* fake-sandboxer SOCKET DIR: serves the fake technique, for those who work on an engine. What its containers do is told in
 * fake_technique.h. */
#include <stdio.h>

#include "base/base.h"
#include "fake_technique.h"

int main(int argc, char **argv)
{
    struct fake fake = {0};
    struct error err = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: %s SOCKET DIR\n", argv[0]);
        return 2;
    }
    diag_init("fake-sandboxer", DIAG_INFO);
    const struct sandboxer_options options = {.listen = argv[1], .dir = argv[2]};
    if (sandboxer_run(&fake_technique, &fake, &options, &err) < 0) {
        diag_error("%s", err.message);
        return 1;
    }
    return 0;
}
