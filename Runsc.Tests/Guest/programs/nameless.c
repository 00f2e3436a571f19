// O_TMPFILE: files that begin without a name (open(2)).
#include "guest.h"

int main(void)
{
    char path[64], text[16];
    struct stat st;
    umask(022);
    mkdir("d", 0755);
    int fd = open("d", O_TMPFILE | O_RDWR, 0666);
    ok("open", fd);
    fstat(fd, &st);
    printf("links %d mode %o size %d\n", (int)st.st_nlink, st.st_mode, (int)st.st_size);
    show("write", write(fd, "hello", 5));
    sprintf(path, "/proc/self/fd/%d", fd);
    show("link", linkat(AT_FDCWD, path, AT_FDCWD, "d/name", AT_SYMLINK_FOLLOW));
    show("link again", linkat(AT_FDCWD, path, AT_FDCWD, "d/name", AT_SYMLINK_FOLLOW));
    stat("d/name", &st);
    printf("links %d size %d\n", (int)st.st_nlink, (int)st.st_size);
    int in = open("d/name", O_RDONLY);
    int n = read(in, text, sizeof text);
    printf("read %.*s\n", n, text);
    unlink("d/name");
    show("link after the last name went", linkat(AT_FDCWD, path, AT_FDCWD, "d/name", AT_SYMLINK_FOLLOW));

    int exclusive = open("d", O_TMPFILE | O_RDWR | O_EXCL, 0600);
    sprintf(path, "/proc/self/fd/%d", exclusive);
    show("link of an exclusive one", linkat(AT_FDCWD, path, AT_FDCWD, "d/other", AT_SYMLINK_FOLLOW));
    show("rmdir with open nameless files", rmdir("d"));

    put("file", "x");
    ok("read only", open(".", O_TMPFILE | O_RDONLY, 0600));
    ok("not in a directory", open("file", O_TMPFILE | O_RDWR, 0600));
    ok("nowhere", open("nothing", O_TMPFILE | O_RDWR, 0600));
    ok("without O_DIRECTORY", open(".", (O_TMPFILE & ~O_DIRECTORY) | O_RDWR, 0600));
    ok("with O_CREAT", open(".", O_TMPFILE | O_CREAT | O_RDWR, 0600));
    return 0;
}
