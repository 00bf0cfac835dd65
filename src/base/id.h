/* SPDX-License-Identifier: Apache-2.0 */
/* The ids of pods, containers and execs: 64 hexadecimal digits of randomness, as docker's. */
#pragma once

enum { ID_LEN = 64 };

/* Fills id with a new one; aborts where the kernel gives no randomness. Any thread. */
void id_new(char id[ID_LEN + 1]);
