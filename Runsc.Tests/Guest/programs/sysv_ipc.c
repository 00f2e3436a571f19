// System V IPC: shared memory over fork, semaphores that wait and undo, message queues; removal wakes who waits.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *error(long result) { return result < 0 ? strerrorname_np(errno) : "ok"; }

static int change(int set, int index, int by, int flags)
{
    struct sembuf operation = { index, by, flags };
    return semop(set, &operation, 1);
}

static void shared_memory(void)
{
    int id = shmget(IPC_PRIVATE, 10000, IPC_CREAT | 0600);
    char *first = shmat(id, NULL, 0), *second = shmat(id, NULL, SHM_RDONLY);
    strcpy(first + 9000, "through both");
    printf("shm: %s, size beyond %s, bad address %s\n", second + 9000, error(shmget(1, 0, IPC_CREAT | 0600)), error((long)shmat(id, (void *)0x1001, 0)));
    struct shmid_ds status;
    shmctl(id, IPC_STAT, &status);
    printf("size %zu, attached %lu, mode %o, mine %d\n", status.shm_segsz, status.shm_nattch, status.shm_perm.mode, status.shm_cpid == getpid());
    fflush(stdout);
    if (fork() == 0) {
        shmctl(id, IPC_STAT, &status);
        printf("child: attached %lu\n", status.shm_nattch);
        fflush(stdout);
        strcpy(first, "from the child");
        _exit(0);
    }

    wait(NULL);
    printf("%s, rmid %s\n", first, error(shmctl(id, IPC_RMID, NULL)));
    shmctl(id, IPC_STAT, &status);
    printf("removed: mode %o, attached %lu, still %s\n", status.shm_perm.mode, status.shm_nattch, second);
    printf("detach %s", error(shmdt(first)));
    printf(" %s", error(shmdt(second)));
    printf(", again %s", error(shmdt(second)));
    printf(", stat %s\n", error(shmctl(id, IPC_STAT, &status)));
}

static void semaphores(void)
{
    int set = semget(0x5eed, 3, IPC_CREAT | IPC_EXCL | 0600);
    printf("sem: again %s, larger %s, other %s\n", error(semget(0x5eed, 3, IPC_CREAT | IPC_EXCL | 0600)), error(semget(0x5eed, 4, 0600)), error(semget(0x5eee, 1, 0600)));
    printf("nowait %s, zero %s", error(change(set, 0, -1, IPC_NOWAIT)), error(change(set, 0, 0, IPC_NOWAIT)));
    printf(", setval %s, range %s, index %s\n", error(semctl(set, 0, SETVAL, 5)), error(semctl(set, 0, SETVAL, 40000)), error(change(set, 3, 1, 0)));
    struct timespec moment = { 0, 20000000 };
    struct sembuf take = { 0, -6, 0 };
    printf("timed %s\n", error(semtimedop(set, &take, 1, &moment)));
    fflush(stdout);
    if (fork() == 0) {
        change(set, 0, -2, SEM_UNDO);
        change(set, 1, 7, SEM_UNDO);
        change(set, 0, -4, SEM_UNDO);
        printf("child: got all, %d %d\n", semctl(set, 0, GETVAL), semctl(set, 1, GETVAL));
        fflush(stdout);
        _exit(0);
    }

    while (semctl(set, 0, GETNCNT) == 0) {
        usleep(1000);
    }

    printf("waiting: %d, value %d\n", semctl(set, 0, GETNCNT), semctl(set, 0, GETVAL));
    fflush(stdout);
    change(set, 0, 1, 0);
    wait(NULL);
    unsigned short all[3] = { 9, 9, 9 };
    semctl(set, 0, GETALL, all);
    printf("given back: %d %d %d\n", all[0], all[1], all[2]);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        printf("child: %s\n", error(change(set, 2, -1, 0)));
        fflush(stdout);
        _exit(0);
    }

    while (semctl(set, 2, GETNCNT) == 0) {
        usleep(1000);
    }

    struct semid_ds status;
    semctl(set, 0, IPC_STAT, &status);
    long removed = semctl(set, 0, IPC_RMID);
    wait(NULL);
    printf("sems %lu, rmid %s\n", status.sem_nsems, error(removed));
    printf("gone: %s\n", error(change(set, 0, 1, 0)));
}

static void messages(void)
{
    struct { long type; char text[16]; } message;
    int queue = msgget(IPC_PRIVATE, 0600);
    for (long type = 3; type > 0; type--) {
        message.type = type;
        snprintf(message.text, sizeof message.text, "text %ld", type);
        msgsnd(queue, &message, 7, 0);
    }

    printf("msg: too long %s, bad type %s\n", error(msgsnd(queue, &message, 9000, 0)), (message.type = 0, error(msgsnd(queue, &message, 1, 0))));
    printf("short %s", error(msgrcv(queue, &message, 2, 2, 0)));
    ssize_t n = msgrcv(queue, &message, 2, 2, MSG_NOERROR);
    printf(", cut %zd %.2s", n, message.text);
    n = msgrcv(queue, &message, 16, -3, 0);
    printf(", lowest %zd %s", n, message.text);
    printf(", none %s", error(msgrcv(queue, &message, 16, 9, IPC_NOWAIT)));
    struct msqid_ds status;
    msgctl(queue, IPC_STAT, &status);
    printf(", left %lu\n", status.msg_qnum);
    fflush(stdout);
    if (fork() == 0) {
        n = msgrcv(queue, &message, 16, 77, 0);
        printf("child: %zd %s\n", n, message.text);
        printf("child: %s\n", error(msgrcv(queue, &message, 16, 78, 0)));
        fflush(stdout);
        _exit(0);
    }

    usleep(50000);
    message.type = 77;
    strcpy(message.text, "for you");
    msgsnd(queue, &message, 8, 0);
    usleep(50000);
    long removed = msgctl(queue, IPC_RMID, NULL);
    wait(NULL);
    printf("rmid %s\n", error(removed));
}

int main(void)
{
    shared_memory();
    fflush(stdout);
    semaphores();
    fflush(stdout);
    messages();
    return 0;
}
