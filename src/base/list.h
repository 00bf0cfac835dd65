/* SPDX-License-Identifier: Apache-2.0 */
/* A doubly linked list through its members. A head and an unlinked member point to themselves;
 * list_init must have run on both. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

#define LIST_INIT(name)                                                                            \
    {                                                                                              \
        &(name), &(name)                                                                           \
    }

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_append(struct list *head, struct list *item)
{
    item->prev = head->prev;
    item->next = head;
    head->prev->next = item;
    head->prev = item;
}

/* Unlinks; harmless on what is not linked. */
static inline void list_remove(struct list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    list_init(item);
}

#define list_first(head, type, member)                                                             \
    (list_empty(head) ? NULL : container_of((head)->next, type, member))

/* item: a variable of the members' type. The body may remove the current item, and no other. */
#define list_each(item, head, member)                                                              \
    for (struct list *item##_at = (head)->next, *item##_next = item##_at->next;                    \
         item##_at != (head) &&                                                                    \
         ((item) = container_of(item##_at, __typeof__(*(item)), member), true);                    \
         item##_at = item##_next, item##_next = item##_at->next)
