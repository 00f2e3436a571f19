// /proc/self/cmdline of a program that writes a title over its arguments, as servers do.
#include "guest.h"

static void look(const char *what)
{
    char text[8192];
    int fd = open("/proc/self/cmdline", O_RDONLY);
    long n = read(fd, text, sizeof text);
    close(fd);
    printf("%s %ld: ", what, n);
    for (long i = 0; i < n && i < 60; i++)
        putchar(text[i] ? text[i] : '|');
    printf("\n");
}

int main(int argc, char **argv)
{
    if (argc == 1) {
        char *arguments[] = { "name", "one", "two", NULL }, *environment[] = { "A=something long enough for a title", "B=2", NULL };
        execve("/proc/self/exe", arguments, environment);
    }

    char *end = argv[argc - 1] + strlen(argv[argc - 1]);
    look("arguments");
    strcpy(argv[0], "x");
    look("short");
    memset(argv[0], 0, end - argv[0] + 1);
    strcpy(argv[0], "t");
    look("cleared");
    memset(argv[0], 't', end - argv[0] + 1);
    look("full");
    strcpy(end + 1, " goes on");
    look("longer");
    memset(end + 1, 'e', 30);
    look("longer");
    return 0;
}
