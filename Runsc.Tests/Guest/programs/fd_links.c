// /proc/self/fd: modes of the links, pipes opened again through them, deleted files.
#include "guest.h"

static void mode(int fd)
{
    char path[64];
    struct stat st;
    sprintf(path, "/proc/self/fd/%d", fd);
    if (lstat(path, &st) == 0)
        printf("mode %o\n", st.st_mode);
}

int main(void)
{
    int p[2], n;
    char path[64], text[64];
    struct stat a, b;
    pipe(p);
    mode(p[0]);
    mode(p[1]);
    mode(open("/tmp", O_PATH));
    mode(open("/dev/null", O_RDWR));
    sprintf(path, "/proc/self/fd/%d", p[1]);
    int again = open(path, O_WRONLY);
    ok("open the writing end", again);
    show("write", write(again, "through", 7));
    sprintf(path, "/proc/self/fd/%d", p[0]);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    ok("open the reading end", reader);
    n = read(reader, text, sizeof text);
    printf("read %.*s\n", n > 0 ? n : 0, text);
    fstat(p[0], &a);
    fstat(reader, &b);
    printf("same pipe %d\n", a.st_ino == b.st_ino);
    show("fchmod of a pipe", fchmod(p[0], 0640));
    fstat(p[1], &a);
    printf("mode of the pipe %o owner %d\n", a.st_mode, a.st_uid == getuid());
    close(again);
    close(p[1]);
    show("read at the end", read(reader, text, sizeof text));

    // With the other end gone a FIFO would wait, or fail; a pipe does neither.
    pipe(p);
    write(p[1], "left", 4);
    close(p[1]);
    sprintf(path, "/proc/self/fd/%d", p[0]);
    reader = open(path, O_RDONLY);
    ok("open without a writer", reader);
    show("read what is left", read(reader, text, sizeof text));
    close(reader);
    close(p[0]);
    pipe(p);
    close(p[0]);
    sprintf(path, "/proc/self/fd/%d", p[1]);
    ok("open without a reader", open(path, O_WRONLY));
    ok("open without a reader, not waiting", open(path, O_WRONLY | O_NONBLOCK));

    put("gone", "still here");
    int fd = open("gone", O_RDONLY);
    unlink("gone");
    sprintf(path, "/proc/self/fd/%d", fd);
    n = readlink(path, text, sizeof text);
    printf("deleted: %s\n", n > 9 && !memcmp(text + n - 9, "(deleted)", 9) ? "yes" : "no");
    again = open(path, O_RDONLY);
    n = read(again, text, sizeof text);
    printf("deleted file read again: %.*s\n", n, text);
    show("link of a deleted file", linkat(AT_FDCWD, path, AT_FDCWD, "back", AT_SYMLINK_FOLLOW));

    // Another user may open its own pipe.
    if (child("other user") == 1) {
        setgid(33);
        setuid(33);
        pipe(p);
        sprintf(path, "/proc/self/fd/%d", p[1]);
        ok("own pipe", open(path, O_WRONLY));
        _exit(0);
    }
    return 0;
}
