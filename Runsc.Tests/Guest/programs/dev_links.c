// The links of /dev lead to the caller's descriptors.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(void)
{
    const char *links[] = {"/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr"};
    for (int i = 0; i < 4; i++)
    {
        struct stat st;
        char target[64] = "";
        int n = lstat(links[i], &st);
        printf("%s: %d %o", links[i], n, st.st_mode);
        readlink(links[i], target, sizeof target - 1);
        printf(" -> %s\n", target);
    }

    int pipe_ends[2];
    char name[32], text[8] = "";
    pipe(pipe_ends);
    write(pipe_ends[1], "hello", 5);
    sprintf(name, "/dev/fd/%d", pipe_ends[0]);
    int fd = open(name, O_RDONLY);
    printf("opened: %s\n", fd >= 0 ? "yes" : strerror(2));
    read(fd, text, 5);
    printf("%s\n", text);
    return 0;
}
