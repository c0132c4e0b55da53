/*
 * The order of things: LD_PRELOAD this and WATCH_LOG gets a line for each write to a log of the
 * database, each sync, and each answer that names a message, in the order in which they happen.
 *
 *     wrote <ids of messages in it>      to a file that ends in -wal
 *     synced <name> <result>             result 0 or -1
 *     answered <ids>                     octets to a socket that begin with HTTP/1.1 202
 *
 * While the file WATCH_EIO exists, the next sync of a -wal removes it and fails with EIO.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static int log_fd = -1;
static const char *trigger;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int (*real_fsync)(int), (*real_fdatasync)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_send)(int, const void *, size_t, int);
static ssize_t (*real_sendmsg)(int, const struct msghdr *, int);

/* Other libraries begin before this one, and may write. */
__attribute__((constructor)) static void begin(void) {
    if (real_write)
        return;
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite");
    real_writev = dlsym(RTLD_NEXT, "writev");
    real_send = dlsym(RTLD_NEXT, "send");
    real_sendmsg = dlsym(RTLD_NEXT, "sendmsg");
    trigger = getenv("WATCH_EIO");
    if (getenv("WATCH_LOG"))
        log_fd = open(getenv("WATCH_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    real_write = dlsym(RTLD_NEXT, "write");
}

static void name_of(int fd, char *name) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, PATH_MAX - 1);
    name[length > 0 ? length : 0] = 0;
}

static int is_log(int fd) {
    char name[PATH_MAX];
    name_of(fd, name);
    size_t length = strlen(name);
    return length > 4 && !strcmp(name + length - 4, "-wal");
}

static int is_word(char letter) {
    return (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
}

static void tell(const char *what, const char *octets, size_t size) {
    static char line[1 << 20];
    if (log_fd < 0)
        return;
    pthread_mutex_lock(&mutex);
    size_t length = (size_t)snprintf(line, sizeof line, "%s", what);
    const char *end = octets + size, *at = octets;
    while (octets && (at = memmem(at, (size_t)(end - at), "msg_", 4))) {
        const char *stop = at + 4;
        while (stop < end && is_word(*stop))
            stop++;
        if (length + (size_t)(stop - at) + 2 < sizeof line) {
            line[length++] = ' ';
            memcpy(line + length, at, (size_t)(stop - at));
            length += (size_t)(stop - at);
        }
        at = stop;
    }
    line[length++] = '\n';
    if (real_write(log_fd, line, length) < 0)
        abort();
    pthread_mutex_unlock(&mutex);
}

static int sync_as(int fd, int (*real)(int)) {
    char name[PATH_MAX], line[PATH_MAX + 32];
    name_of(fd, name);
    int result, is_chosen = is_log(fd) && trigger && unlink(trigger) == 0;
    if (is_chosen) {
        errno = EIO;
        result = -1;
    } else
        result = real(fd);
    int kept = errno;
    snprintf(line, sizeof line, "synced %s %d", strrchr(name, '/') ? strrchr(name, '/') + 1 : name, result);
    tell(line, NULL, 0);
    errno = kept;
    return result;
}

int fsync(int fd) {
    begin();
    return sync_as(fd, real_fsync);
}
int fdatasync(int fd) {
    begin();
    return sync_as(fd, real_fdatasync);
}

static void look(int fd, const void *octets, size_t size) {
    begin();
    if (log_fd < 0 || size < 12)
        return;
    if (!memcmp(octets, "HTTP/1.1 202", 12))
        tell("answered", octets, size);
    else if (is_log(fd))
        tell("wrote", octets, size);
}

/* An answer is told before it is sent: told later, a sync could slip in between. */
ssize_t write(int fd, const void *octets, size_t size) {
    look(fd, octets, size);
    return real_write(fd, octets, size);
}

ssize_t pwrite(int fd, const void *octets, size_t size, off_t at) {
    look(fd, octets, size);
    return real_pwrite(fd, octets, size, at);
}
ssize_t pwrite64(int fd, const void *octets, size_t size, off_t at) { return pwrite(fd, octets, size, at); }

static void look_at_all(int fd, const struct iovec *pieces, int count) {
    static __thread char whole[1 << 18];
    size_t size = 0;
    for (int i = 0; i < count && size + pieces[i].iov_len < sizeof whole; i++) {
        memcpy(whole + size, pieces[i].iov_base, pieces[i].iov_len);
        size += pieces[i].iov_len;
    }
    look(fd, whole, size);
}

ssize_t writev(int fd, const struct iovec *pieces, int count) {
    look_at_all(fd, pieces, count);
    return real_writev(fd, pieces, count);
}

ssize_t send(int fd, const void *octets, size_t size, int flags) {
    look(fd, octets, size);
    return real_send(fd, octets, size, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    look_at_all(fd, message->msg_iov, (int)message->msg_iovlen);
    return real_sendmsg(fd, message, flags);
}
