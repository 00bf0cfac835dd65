/* SPDX-License-Identifier: Apache-2.0 */
/* Between the program that makes the seccomp programs and those that install them. */
#pragma once

#include <stdint.h>

struct filter_instruction { /* struct sock_filter */
    uint16_t code;
    uint8_t if_true, if_false;
    uint32_t value;
};

/* Stands for the pid of the process that installs the program. */
#define FILTER_OWN_PID UINT32_C(0x5ead0001)
