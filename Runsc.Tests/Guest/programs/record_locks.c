// Record locks of fcntl(2): conflicts, deadlocks, locks of descriptions, what close and fork do.
#include "guest.h"

static long lock(int fd, int command, int type, long start, long length)
{
    struct flock f = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, command, &f);
}

static void who(int fd, int command, int type, long start, long length, pid_t expected)
{
    struct flock f = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    fcntl(fd, command, &f);
    printf("in the way: type %d start %ld length %ld owner %s\n", f.l_type, (long)f.l_start, (long)f.l_len,
        f.l_type == F_UNLCK ? "none" : f.l_pid == expected ? "parent" : f.l_pid == -1 ? "description" : "other");
    fflush(stdout);
}

int main(void)
{
    int fd = open("file", O_CREAT | O_RDWR, 0600), a[2], b[2];
    char c;
    pid_t parent = getpid();
    write(fd, "0123456789", 10);
    show("lock", lock(fd, F_SETLK, F_WRLCK, 0, 5));
    if (child("conflict") == 1) {
        show("other process", lock(fd, F_SETLK, F_RDLCK, 4, 2));
        show("beside it", lock(fd, F_SETLK, F_WRLCK, 5, 0));
        who(fd, F_GETLK, F_RDLCK, 0, 0, parent);
        show("description in the way", lock(fd, F_OFD_SETLK, F_WRLCK, 2, 1));
        _exit(0);
    }

    // Each waits for what the other has: the second to ask is told.
    pipe(a);
    pipe(b);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        lock(fd, F_SETLK, F_WRLCK, 100, 1);
        write(a[1], "x", 1);
        long result = lock(fd, F_SETLKW, F_WRLCK, 0, 1);
        _exit(result == 0 ? 0 : errno == EDEADLK ? 1 : 2);
    }
    read(a[0], &c, 1);
    usleep(100000);
    show("deadlock", lock(fd, F_SETLKW, F_WRLCK, 100, 1));
    show("unlock", lock(fd, F_SETLK, F_UNLCK, 0, 0));
    int status;
    waitpid(pid, &status, 0);
    printf("the other got it: %d\n", WEXITSTATUS(status));

    // Closing any descriptor of the file drops a process's locks, not those of descriptions.
    show("lock", lock(fd, F_SETLK, F_WRLCK, 0, 5));
    close(open("file", O_RDONLY));
    if (child("after close") == 1) {
        show("lock", lock(fd, F_SETLK, F_WRLCK, 0, 5));
        _exit(0);
    }
    int second = open("file", O_RDWR);
    show("of a description", lock(second, F_OFD_SETLK, F_WRLCK, 0, 5));
    show("another description", lock(fd, F_OFD_SETLK, F_WRLCK, 0, 1));
    who(fd, F_OFD_GETLK, F_WRLCK, 0, 1, parent);
    close(open("file", O_RDONLY));
    show("still there", lock(fd, F_OFD_SETLK, F_RDLCK, 0, 1));
    close(second);
    show("gone with it", lock(fd, F_OFD_SETLK, F_RDLCK, 0, 1));
    show("write lock of a reader", lock(open("file", O_RDONLY), F_SETLK, F_WRLCK, 0, 1));
    show("bad type", lock(fd, F_SETLK, 9, 0, 1));
    show("negative", lock(fd, F_SETLK, F_RDLCK, 0, -1));
    return 0;
}
