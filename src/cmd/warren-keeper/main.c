/* SPDX-License-Identifier: Apache-2.0 */
/* warren-keeper: started by warren-namespace, one a pod, with its control socket as descriptor 3 and its listening socket as 4.
 * See namespace/keeper.h. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "namespace/keeper.h"

enum { CONTROL_FD = 3, LISTENER_FD = 4 };

static bool is_socket(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("warren-keeper " WARREN_VERSION);
        return 0;
    }
    if (!is_socket(CONTROL_FD) || !is_socket(LISTENER_FD)) {
        fputs(
            "warren-keeper holds one pod; warren-namespace starts it. It is of no use by itself.\n",
            stderr);
        return 2;
    }
    syscall(SYS_close_range, LISTENER_FD + 1, ~0u, 0);
    umask(022);
    setsid();
    if (chdir("/") < 0) /* what it was started from must not be held as long as the pod lives */
        return 1;
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_NAME, "warren-keeper");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (geteuid() ==
        0) /* nobody looks into what is about to become a container (a user namespace's root must be able to) */
        prctl(PR_SET_DUMPABLE, 0);
    pod_privileges(false);
    control_run(CONTROL_FD, LISTENER_FD);
    return 0;
}
