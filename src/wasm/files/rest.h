/* SPDX-License-Identifier: Apache-2.0 */
/* What is open or built though nobody has used it for a while. One thread looks for it, and sleeps while there is none. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* There is something that will be at rest one day. Any thread; cheap where it was said before. */
void rest_wanted(void);
/* Calls the functions every other second while one of them says that it has anything left. Does not return. */
void rest_run(bool (*const functions[])(void), size_t count);
