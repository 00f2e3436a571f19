// preadv2(2) and pwritev2(2): flags, position.
#include "guest.h"
#include <sys/uio.h>

int main(void)
{
    char text[64] = "";
    struct iovec out = {"abc", 3}, in = {text, sizeof text - 1};
    int fd = open("file", O_CREAT | O_RDWR, 0600);
    show("write", write(fd, "0123456789", 10));
    show("append at 0", pwritev2(fd, &out, 1, 0, RWF_APPEND));
    show("position", lseek(fd, 0, SEEK_CUR));
    lseek(fd, 2, SEEK_SET);
    show("append at the position", pwritev2(fd, &out, 1, -1, RWF_APPEND));
    show("position", lseek(fd, 0, SEEK_CUR));
    show("sync", pwritev2(fd, &out, 1, 4, RWF_DSYNC));
    show("read", preadv2(fd, &in, 1, 0, 0));
    puts(text);
    show("read at the position", preadv2(fd, &in, 1, -1, 0));
    show("no such flag", preadv2(fd, &in, 1, 0, 0x40000000));
    show("bad offset", preadv2(fd, &in, 1, -2, 0));
    int p[2];
    pipe(p);
    show("pipe with an offset", preadv2(p[0], &in, 1, 1, 0));
    return 0;
}
