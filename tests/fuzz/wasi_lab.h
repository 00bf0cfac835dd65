/* SPDX-License-Identifier: Apache-2.0 */
/* A guest without Wasmtime and without the scheduler: its memory is malloced, so that what is touched beside it is seen, and host calls are
 * called as Wasmtime calls them. The files process is served in place, the disk's threads are real. One at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LAB_MEMORY = 1 << 16, LAB_PEERS = 2 };

extern struct lab {
    char dir[64];
    struct guest *guest;
    uint64_t container;   /* its number in the files process */
    uint8_t *memory;      /* LAB_MEMORY bytes */
    bool parked;          /* in a call, which lab_resume() goes on with */
    bool cold;            /* files are not in memory: what is read and written goes to a disk, */
    bool half;            /* but the next first piece, which is */
    uint32_t result;      /* of the last call that was over */
    int peers[LAB_PEERS]; /* of connections to its listening socket */
    int input;            /* the other side of its standard input */
} lab;

/* A tree that has a file, directories, links that lead out, a FIFO; and a listening socket: its descriptors are 0 to 2, 3 the socket, 4 and
 * 5 the preopens "/" and "/data". */
void lab_begin(void);
/* It ends, as by a kill where it is in a call. Aborts where what is not its own has changed. */
void lab_end(void);

/* Aborts where the descriptor (-1: none) is of a file outside the tree. */
void lab_check(int fd);

/* How many functions there are; the name and the parameters (i, l) of one. */
size_t lab_functions(void);
const char *lab_name(size_t function);
const char *lab_params(size_t function);
size_t lab_function(const char *name);
void lab_call(size_t function, const uint64_t *args);
/* Polls the parked call once more, after what it waits for has come or, early, before. */
void lab_resume(bool early);
