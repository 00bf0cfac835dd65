/* SPDX-License-Identifier: Apache-2.0 */
/* A library of functions that can be called: what a reactor is. Its memory shows what has run before in the same instance. */
#include <stdio.h>
#include <unistd.h>

static int calls, made;

__attribute__((constructor)) static void make(void)
{
    made = 1;
    puts("made");
}

__attribute__((export_name("count"))) void count(void)
{
    printf("made %d, call %d\n", made, ++calls);
}

__attribute__((export_name("fail"))) void fail(void)
{
    __builtin_trap();
}

__attribute__((export_name("leave"))) void leave(void)
{
    _exit(7);
}

__attribute__((export_name("linger"))) void linger(void)
{
    puts("lingering");
    for (;;)
        sleep(3600);
}

__attribute__((export_name("add"))) int add(int a, int b)
{
    return a + b;
}
