/* SPDX-License-Identifier: Apache-2.0 */
#include "image/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

int digester_init(struct digester *d)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(context);
        return -ENOMEM;
    }
    d->context = context;
    return 0;
}

void digester_done(struct digester *d)
{
    EVP_MD_CTX_free(d->context);
    d->context = NULL;
}

void digester_update(struct digester *d, const void *data, size_t len)
{
    EVP_DigestUpdate(d->context, data, len);
}

static void write_text(const unsigned char hash[32], char text[DIGEST_TEXT])
{
    memcpy(text, "sha256:", 7);
    for (int i = 0; i < 32; i++)
        snprintf(text + 7 + i * 2, 3, "%02x", hash[i]);
}

void digester_text(struct digester *d, char text[DIGEST_TEXT])
{
    unsigned char hash[EVP_MAX_MD_SIZE] = {0};
    EVP_DigestFinal_ex(d->context, hash, NULL);
    write_text(hash, text);
}

void digest_of(const void *data, size_t len, char text[DIGEST_TEXT])
{
    unsigned char hash[EVP_MAX_MD_SIZE] = {0};
    EVP_Digest(data, len, hash, NULL, EVP_sha256(), NULL);
    write_text(hash, text);
}

void digest_chain(const char *parent, const char *diff_id, char text[DIGEST_TEXT])
{
    if (!parent) {
        snprintf(text, DIGEST_TEXT, "%s", diff_id);
        return;
    }
    char both[2 * DIGEST_TEXT];
    int n = snprintf(both, sizeof both, "%s %s", parent, diff_id);
    digest_of(both, (size_t)n, text);
}
