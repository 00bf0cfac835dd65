/* SPDX-License-Identifier: Apache-2.0 */
/* An image store with a few names in it, for tests of the engine. */
#pragma once

#include "image/image.h"

enum { FAKE_IMAGES = 4, FAKE_PINS = 512 };

struct image_store {
    struct image images[FAKE_IMAGES]; /* "image0:latest", ... */
    char ids[FAKE_IMAGES][80];
    bool there[FAKE_IMAGES];
    struct {
        int image;
        char user[65];
    } pins[FAKE_PINS];
    int pin_count;
};

void fake_images_init(struct image_store *s);
/* -EBUSY where it is pinned. */
int fake_image_remove(struct image_store *s, int image);
