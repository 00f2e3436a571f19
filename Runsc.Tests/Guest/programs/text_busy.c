// ETXTBSY: a running program is not written, a file that is open for writing does not run.
#include "guest.h"

int main(int argc, char **argv)
{
    if (argc > 1) {
        write(1, "r", 1);
        read(0, argv[1], 1);
        return 5;
    }

    char *run[] = {"./copy", "x", NULL};
    char buffer[65536];
    ssize_t n;
    int from = open("/proc/self/exe", O_RDONLY), to = open("copy", O_CREAT | O_WRONLY, 0755);
    while ((n = read(from, buffer, sizeof buffer)) > 0)
        write(to, buffer, n);
    if (child("open for writing") == 1) {
        execv("./copy", run);
        show("exec", -1);
        _exit(1);
    }
    close(to);

    int in[2], out[2];
    pipe(in);
    pipe(out);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        execv("./copy", run);
        _exit(1);
    }
    read(out[0], buffer, 1);
    ok("write while it runs", open("copy", O_WRONLY));
    ok("read and write", open("copy", O_RDWR));
    ok("read while it runs", open("copy", O_RDONLY));
    show("truncate", truncate("copy", 0));
    show("rename over", rename("copy", "moved"));
    ok("write by the new name", open("moved", O_WRONLY));
    write(in[1], "x", 1);
    int status;
    waitpid(pid, &status, 0);
    printf("status %d\n", WEXITSTATUS(status));
    ok("write after its end", open("moved", O_WRONLY));
    show("unlink", unlink("moved"));
    return 0;
}
