/* SPDX-License-Identifier: Apache-2.0 */
/* What the supervisor tells the files process: containers come, go, and have their logs renamed. One thread. */
#pragma once

/* Serves one connection after the other; never returns but where listen is bad. */
void control_run(int listen);
