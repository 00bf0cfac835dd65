/* SPDX-License-Identifier: Apache-2.0 */
/* Three programs that compute, for wasm and for the machine itself: compute sha256 | matrix | nbody | sort [TIMES].
 * Prints "NAME NANOSECONDS CPU RESULT" for each time: the clocks are read inside, so that neither start nor compilation counts. CPU is
 * the CPU time that it took in ns, 0 where the host has no such clock (Wasmtime). */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint32_t rotate(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

/* The constants are the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2). */
static void sha_constants(uint32_t k[64])
{
    int found = 0;
    for (int n = 2; found < 64; n++) {
        int prime = 1;
        for (int d = 2; d * d <= n; d++)
            prime &= n % d != 0;
        if (prime)
            k[found++] = (uint32_t)(uint64_t)(fmod(cbrt(n), 1) * 4294967296.0);
    }
}

static void sha_block(uint32_t h[8], const uint8_t *p, const uint32_t k[64])
{
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
               (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t b = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + a + w[i - 7] + b;
    }
    memcpy(v, h, sizeof v);
    for (int i = 0; i < 64; i++) {
        uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
        uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
        uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
        uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        h[i] += v[i];
}

static double sha256(void)
{
    enum { SIZE = 1 << 20, ROUNDS = 24 };
    static uint8_t data[SIZE];
    uint32_t k[64], h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                            0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    sha_constants(k);
    for (int i = 0; i < SIZE; i++)
        data[i] = (uint8_t)(i * 131 >> 3);
    for (int r = 0; r < ROUNDS; r++)
        for (int i = 0; i < SIZE; i += 64)
            sha_block(h, data + i, k);
    return h[0] ^ h[7];
}

static double matrix(void)
{
    enum { N = 320 };
    static double a[N][N], b[N][N], c[N][N];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = (i * 7 + j) % 11;
            b[i][j] = (i + j * 5) % 13;
        }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < N; k++)
                sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
    return c[17][101] + c[N - 1][N - 1];
}

struct body {
    double at[3], speed[3], mass;
};

static void advance(struct body *b, int n, double dt)
{
    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n; j++) {
            double d[3], square = 0;
            for (int k = 0; k < 3; k++) {
                d[k] = b[i].at[k] - b[j].at[k];
                square += d[k] * d[k];
            }
            double pull = dt / (square * sqrt(square));
            for (int k = 0; k < 3; k++) {
                b[i].speed[k] -= d[k] * b[j].mass * pull;
                b[j].speed[k] += d[k] * b[i].mass * pull;
            }
        }
    for (int i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            b[i].at[k] += dt * b[i].speed[k];
}

static double nbody(void)
{
    enum { BODIES = 5, STEPS = 1000000 };
    struct body b[BODIES];
    for (int i = 0; i < BODIES; i++)
        b[i] = (struct body){
            {i * 3.5, i * 1.25 - 2, i * 0.5}, {0.1 * i, 0.3 - 0.05 * i, 0.01 * i}, 1.0 / (i + 1)};
    for (int i = 0; i < STEPS; i++)
        advance(b, BODIES, 0.001);
    return b[0].at[0] + b[4].at[1];
}

static void quicksort(uint32_t *v, long low, long high)
{
    while (low < high) {
        uint32_t middle = v[low + (high - low) / 2];
        long i = low, j = high;
        while (i <= j) {
            while (v[i] < middle)
                i++;
            while (v[j] > middle)
                j--;
            if (i <= j) {
                uint32_t t = v[i];
                v[i++] = v[j];
                v[j--] = t;
            }
        }
        quicksort(v, low, j);
        low = i;
    }
}

static double sort(void)
{
    enum { N = 2000000 };
    static uint32_t v[N];
    uint32_t x = 1;
    for (int i = 0; i < N; i++)
        v[i] = x = x * 1664525 + 1013904223;
    quicksort(v, 0, N - 1);
    return (double)v[0] + v[N / 2] + v[N - 1];
}

#ifdef __wasi__
__attribute__((import_module("wasi_snapshot_preview1"), import_name("clock_time_get"))) uint32_t
clock_time_get(uint32_t id, uint64_t precision, uint64_t *ns);

static long long cpu_ns(void)
{
    uint64_t ns;
    return clock_time_get(2, 1, &ns) == 0 ? (long long)ns : 0;
}
#else
static long long cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}
#endif

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        double (*run)(void);
    } programs[] = {{"sha256", sha256}, {"matrix", matrix}, {"nbody", nbody}, {"sort", sort}};
    long times = argc > 2 ? atol(argv[2]) : 1;
    for (unsigned i = 0; argc > 1 && i < sizeof programs / sizeof *programs; i++)
        if (!strcmp(argv[1], programs[i].name)) {
            for (long t = 0; t < times; t++) {
                struct timespec a, b;
                clock_gettime(CLOCK_MONOTONIC, &a);
                long long cpu = cpu_ns();
                double result = programs[i].run();
                cpu = cpu_ns() - cpu;
                clock_gettime(CLOCK_MONOTONIC, &b);
                long long wall = (b.tv_sec - a.tv_sec) * 1000000000LL + (b.tv_nsec - a.tv_nsec);
                printf("%s %lld %lld %.9g\n", argv[1], wall, cpu, result);
            }
            return 0;
        }
    fputs("usage: compute sha256 | matrix | nbody | sort [TIMES]\n", stderr);
    return 2;
}
