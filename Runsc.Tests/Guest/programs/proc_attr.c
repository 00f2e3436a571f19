// /proc/PID/attr without a security module: the files can be opened and have no value.
#include "guest.h"
#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void look(const char *directory)
{
    struct dirent **entries;
    int n = scandir(directory, &entries, NULL, by_name);
    printf("%s: %d\n", directory, n);
    for (int i = 0; i < n; i++) {
        char path[512], buffer[16];
        struct stat status;
        snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name);
        if (entries[i]->d_name[0] == '.' || stat(path, &status))
            continue;
        printf("%s %o %ld\n", entries[i]->d_name, status.st_mode, (long)status.st_size);
        int fd = open(path, O_RDONLY);
        show("open", fd < 0 ? -1 : 0);
        show("read", read(fd, buffer, sizeof buffer));
        close(fd);
        if (status.st_mode & 0200) {
            fd = open(path, O_WRONLY);
            show("open to write", fd < 0 ? -1 : 0);
            show("write", write(fd, "x", 1));
            close(fd);
        }
    }
}

// Of another process.
static void foreign(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/attr/current", getpid());
    int fd = open(path, O_WRONLY);
    if (fork() == 0) {
        show("inherited", write(fd, "x", 1));
        fd = open(path, O_WRONLY);
        show("of the parent", write(fd, "x", 1));
        exit(0);
    }

    wait(NULL);
    close(fd);
}

int main(void)
{
    look("/proc/self/attr");
    look("/proc/thread-self/attr");
    foreign();
    return 0;
}
