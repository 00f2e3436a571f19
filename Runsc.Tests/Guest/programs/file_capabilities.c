// execve(2) and capabilities of files (capabilities(7)).
#include "guest.h"
#include <linux/capability.h>
#include <linux/xattr.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/xattr.h>

static void print(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    while (fgets(line, sizeof line, status))
        if (!strncmp(line, "CapPrm", 6) || !strncmp(line, "CapEff", 6) || !strncmp(line, "CapAmb", 6) || !strncmp(line, "Uid", 3))
            fputs(line, stdout);
    printf("secure %lu dumpable %d\n", getauxval(AT_SECURE), prctl(PR_GET_DUMPABLE));
    fflush(stdout);
}

static void run(const char *what, unsigned permitted, int effective, int mode, int no_new_privileges)
{
    struct vfs_cap_data data = {.magic_etc = VFS_CAP_REVISION_2 | (effective ? VFS_CAP_FLAGS_EFFECTIVE : 0)};
    data.data[0].permitted = permitted;
    printf("%s\n", what);
    chmod("copy", mode);
    show("set", setxattr("copy", "security.capability", &data, permitted ? sizeof data : 12, 0));
    if (child("run") == 1) {
        if (no_new_privileges)
            prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        setgid(33);
        setuid(33);
        execl("./copy", "copy", "x", NULL);
        show("exec", -1);
        _exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        print();
        return 0;
    }

    char buffer[65536];
    ssize_t n;
    chmod(".", 0755);
    int from = open("/proc/self/exe", O_RDONLY), to = open("copy", O_CREAT | O_WRONLY, 0755);
    while ((n = read(from, buffer, sizeof buffer)) > 0)
        write(to, buffer, n);
    close(to);
    // What both the host and the sandbox have in the bounding set.
    unsigned bits = 1u << CAP_NET_RAW | 1u << CAP_KILL;
    run("permitted", bits, 0, 0755, 0);
    run("effective", bits, 1, 0755, 0);
    run("no new privileges", bits, 1, 0755, 1);
    run("set-user-id root with capabilities", bits, 1, 04755, 0);
    run("unreadable", bits, 0, 0711, 0);
    prctl(PR_CAPBSET_DROP, CAP_NET_RAW, 0, 0, 0);
    run("more than the bounding set", bits, 1, 0755, 0);
    run("more than the bounding set, not effective", bits, 0, 0755, 0);
    return 0;
}
