// Asynchronous input and output: io_setup(2), io_submit(2), io_getevents(2) and their kin.
#include "guest.h"
#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <time.h>

static aio_context_t context;

static long submit(const char *what, struct iocb *one)
{
    struct iocb *list[] = {one};
    long result = syscall(SYS_io_submit, context, 1, list);
    show(what, result);
    return result;
}

static void results(const char *what, long least, long most, struct timespec *timeout)
{
    struct io_event events[8];
    long n = syscall(SYS_io_getevents, context, least, most, events, timeout);
    show(what, n);
    for (long i = 0; i < n; i++)
        printf("  data %llu result %lld %lld\n", events[i].data, events[i].res, events[i].res2);
}

static void request(struct iocb *cb, int opcode, int fd, void *buffer, unsigned long size, long offset, unsigned long data)
{
    memset(cb, 0, sizeof *cb);
    cb->aio_lio_opcode = opcode;
    cb->aio_fildes = fd;
    cb->aio_buf = (unsigned long)buffer;
    cb->aio_nbytes = size;
    cb->aio_offset = offset;
    cb->aio_data = data;
}

int main(void)
{
    struct timespec now = {0, 0}, soon = {0, 20000000}, bad = {0, 2000000000};
    struct iocb cb[4], *list[4] = {&cb[0], &cb[1], &cb[2], &cb[3]};
    char text[64] = "hello, world", back[64] = "";
    aio_context_t other = 0;

    show("no events", syscall(SYS_io_setup, 0, &other));
    show("nowhere", syscall(SYS_io_setup, 4, NULL));
    show("far too many events", syscall(SYS_io_setup, 1u << 31, &other));
    other = 5;
    show("used before", syscall(SYS_io_setup, 4, &other));
    show("setup", syscall(SYS_io_setup, 4, &context));
    printf("id %d\n", context != 0);
    show("no such context", syscall(SYS_io_destroy, 4096UL));
    show("submit nothing", syscall(SYS_io_submit, context, 0, NULL));
    show("submit less", syscall(SYS_io_submit, context, -1L, NULL));
    show("submit elsewhere", syscall(SYS_io_submit, 4096UL, 1L, list));
    show("submit from nowhere", syscall(SYS_io_submit, context, 1L, NULL));
    list[0] = NULL;
    show("a request nowhere", syscall(SYS_io_submit, context, 1L, list));
    list[0] = &cb[0];

    int fd = open("file", O_CREAT | O_RDWR, 0644), only = open("file", O_RDONLY), directory = open(".", O_RDONLY);
    request(&cb[0], IOCB_CMD_PWRITE, fd, text, 12, 100, 1);
    submit("write", &cb[0]);
    results("its result", 1, 4, NULL);
    struct stat st;
    fstat(fd, &st);
    printf("size %ld position %ld\n", (long)st.st_size, (long)lseek(fd, 0, SEEK_CUR));
    request(&cb[0], IOCB_CMD_PREAD, fd, back, 5, 107, 2);
    request(&cb[1], IOCB_CMD_PREAD, fd, back + 10, 50, 107, 3);
    request(&cb[2], IOCB_CMD_FSYNC, fd, NULL, 0, 0, 4);
    request(&cb[3], IOCB_CMD_FDSYNC, fd, NULL, 0, 0, 5);
    show("several", syscall(SYS_io_submit, context, 4L, list));
    results("some", 1, 2, NULL);
    // How many of those are there at once is not said for syncs: all are waited for.
    struct io_event events[8];
    long n = syscall(SYS_io_getevents, context, 2L, 2L, events, NULL);
    printf("the rest: %ld, good %d\n", n, events[0].res == 0 && events[1].res == 0);
    printf("%.5s %s\n", back, back + 10);

    struct iovec vectors[2] = {{text, 3}, {text + 7, 5}};
    request(&cb[0], IOCB_CMD_PWRITEV, fd, vectors, 2, 0, 6);
    submit("vectors", &cb[0]);
    results("result", 1, 1, NULL);
    vectors[0] = (struct iovec){back, 2};
    vectors[1] = (struct iovec){back + 2, 6};
    request(&cb[0], IOCB_CMD_PREADV, fd, vectors, 2, 0, 7);
    submit("vectors back", &cb[0]);
    results("result", 1, 1, NULL);
    printf("%.8s\n", back);

    // Complaints about requests, and about what they do.
    request(&cb[0], IOCB_CMD_PREAD, 99, back, 5, 0, 8);
    submit("no descriptor", &cb[0]);
    request(&cb[0], IOCB_CMD_PWRITE, only, back, 5, 0, 8);
    submit("read only", &cb[0]);
    request(&cb[0], IOCB_CMD_PREAD, directory, back, 5, 0, 8);
    submit("directory", &cb[0]);
    request(&cb[0], 99, fd, back, 5, 0, 8);
    submit("no such command", &cb[0]);
    request(&cb[0], IOCB_CMD_PREAD, fd, back, 5, -1, 8);
    submit("before the beginning", &cb[0]);
    request(&cb[0], IOCB_CMD_PREAD, fd, back, -1UL, 0, 8);
    submit("less than nothing", &cb[0]);
    request(&cb[0], IOCB_CMD_PREADV, fd, vectors, 2000, 0, 8);
    submit("too many vectors", &cb[0]);
    request(&cb[0], IOCB_CMD_PREADV, fd, NULL, 2, 0, 8);
    submit("vectors nowhere", &cb[0]);
    request(&cb[0], IOCB_CMD_FSYNC, fd, back, 0, 0, 8);
    submit("sync with a buffer", &cb[0]);
    request(&cb[0], IOCB_CMD_PREAD, fd, back, 5, 0, 8);
    cb[0].aio_reserved2 = 1;
    submit("reserved", &cb[0]);
    request(&cb[0], IOCB_CMD_PREAD, fd, back, 5, 0, 8);
    cb[0].aio_rw_flags = 1 << 30;
    submit("flags", &cb[0]);
    request(&cb[0], IOCB_CMD_PREAD, fd, (void *)4096, 5, 0, 8);
    submit("a buffer nowhere", &cb[0]);
    results("result", 1, 1, NULL);
    request(&cb[0], IOCB_CMD_PREAD, fd, back, 5, 5000, 9);
    submit("past the end", &cb[0]);
    results("result", 1, 1, NULL);
    request(&cb[0], IOCB_CMD_PREAD, fd, back, 5, 0, 10);
    request(&cb[1], IOCB_CMD_PREAD, 99, back, 5, 0, 11);
    show("one good, one bad", syscall(SYS_io_submit, context, 2L, list));
    results("result", 1, 4, &now);

    // An eventfd is told.
    int event = eventfd(0, EFD_NONBLOCK);
    request(&cb[0], IOCB_CMD_PREAD, fd, back, 5, 0, 12);
    cb[0].aio_flags = IOCB_FLAG_RESFD;
    cb[0].aio_resfd = event;
    submit("with an eventfd", &cb[0]);
    struct pollfd wait = {event, POLLIN, 0};
    show("it is ready", poll(&wait, 1, 1000));
    unsigned long value = 0;
    read(event, &value, 8);
    printf("%lu\n", value);
    results("result", 1, 1, NULL);
    cb[0].aio_resfd = fd;
    submit("with a file", &cb[0]);
    cb[0].aio_resfd = 99;
    submit("with nothing", &cb[0]);

    int pipes[2];
    pipe(pipes);
    request(&cb[0], IOCB_CMD_PWRITE, pipes[1], text, 5, 0, 13);
    request(&cb[1], IOCB_CMD_PREAD, pipes[0], back, 10, 0, 14);
    show("through a pipe", syscall(SYS_io_submit, context, 2L, list));
    results("results", 2, 2, NULL);

    // Waiting.
    results("nothing there", 0, 4, NULL);
    results("nothing comes at once", 1, 4, &now);
    results("nothing comes soon", 1, 4, &soon);
    results("bad time", 1, 4, &bad);
    results("least above most", 2, 1, NULL);
    results("less than none", -1, 1, NULL);
    show("another context", syscall(SYS_io_getevents, 4096UL, 0L, 1L, events, NULL));
    request(&cb[0], IOCB_CMD_PREAD, fd, back, 5, 0, 15);
    submit("read", &cb[0]);
    show("to nowhere", syscall(SYS_io_getevents, context, 1L, 1L, NULL, NULL));
    show("cancel", syscall(SYS_io_cancel, context, &cb[0], events));
    show("cancel nowhere", syscall(SYS_io_cancel, context, NULL, events));
    unsigned long mask = 0;
    struct { unsigned long *mask; size_t size; } set = {&mask, 8};
    show("with a mask", syscall(SYS_io_pgetevents, context, 0L, 1L, events, &now, &set));
    set.size = 4;
    show("with a short mask", syscall(SYS_io_pgetevents, context, 0L, 1L, events, &now, &set));

    if (child("another process"))  {
        show("has no contexts", syscall(SYS_io_destroy, context));
        exit(0);
    }
    show("destroy", syscall(SYS_io_destroy, context));
    show("destroy again", syscall(SYS_io_destroy, context));
    return 0;
}
