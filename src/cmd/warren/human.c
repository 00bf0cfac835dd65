/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/warren/human.h"

#include <stdio.h>
#include <string.h>

enum { COLUMN_MIN = 10, COLUMN_GAP = 3, COLUMNS_MAX = 16 };

char *human_duration(int64_t s, char text[HUMAN_MAX])
{
    const int64_t hours = (s + 1800) / 3600;
    if (s < 1)
        snprintf(text, HUMAN_MAX, "Less than a second");
    else if (s == 1)
        snprintf(text, HUMAN_MAX, "1 second");
    else if (s < 60)
        snprintf(text, HUMAN_MAX, "%d seconds", (int)s);
    else if (s < 120)
        snprintf(text, HUMAN_MAX, "About a minute");
    else if (s < 3600)
        snprintf(text, HUMAN_MAX, "%d minutes", (int)(s / 60));
    else if (hours == 1)
        snprintf(text, HUMAN_MAX, "About an hour");
    else if (hours < 48)
        snprintf(text, HUMAN_MAX, "%d hours", (int)hours);
    else if (hours < 24 * 7 * 2)
        snprintf(text, HUMAN_MAX, "%d days", (int)(hours / 24));
    else if (hours < 24 * 30 * 2)
        snprintf(text, HUMAN_MAX, "%d weeks", (int)(hours / 24 / 7));
    else if (hours < 24 * 365 * 2)
        snprintf(text, HUMAN_MAX, "%d months", (int)(hours / 24 / 30));
    else
        snprintf(text, HUMAN_MAX, "%d years", (int)(hours / 24 / 365));
    return text;
}

char *human_size(uint64_t bytes, char text[HUMAN_MAX])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double size = (double)bytes;
    size_t unit = 0;
    while (size >= 1000 && unit < sizeof units / sizeof *units - 1) {
        size /= 1000;
        unit++;
    }
    snprintf(text, HUMAN_MAX, "%.3g%s", size, units[unit]);
    return text;
}

void table_print(char *const *cells, size_t count, size_t rows)
{
    int widths[COLUMNS_MAX] = {0};
    for (size_t i = 0; i < rows * count; i++) {
        int n = (int)strlen(cells[i]);
        int *width = &widths[i % count];
        if (n + COLUMN_GAP > *width)
            *width = n + COLUMN_GAP < COLUMN_MIN ? COLUMN_MIN : n + COLUMN_GAP;
    }
    for (size_t i = 0; i < rows * count; i++) {
        bool last = i % count == count - 1;
        printf("%-*s%s", last ? 0 : widths[i % count], cells[i], last ? "\n" : "");
    }
}
