/* SPDX-License-Identifier: Apache-2.0 */
/* The store's other half: from rows to who asked for them. */
#pragma once

#include <sqlite3.h>

#include "engine/store.h"

/* All rows, pods first, each in the order of creation. */
int store_read(sqlite3 *db, const struct store_reader *reader, struct error *err);
/* SQLite's last error as an errno and its words. */
int store_fail(sqlite3 *db, struct error *err, const char *what);
