/*
 * What a power cut leaves: LD_PRELOAD this and only what was synced reaches the shadow.
 *
 * POWERFAIL_ROOT is the folder that is watched, POWERFAIL_SHADOW where its durable state is kept:
 * files/<inode> has the octets of each file as of its last fsync or fdatasync, names/<folder> the
 * names in each folder as of the last fsync of that folder. powerfail.py makes a folder of them.
 * A copy that a kill interrupts is a torn write, as disks have them.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FDS 4096

struct span {
    off_t from, to; /* written since the last sync */
    int known;      /* this descriptor was synced before */
};

static struct span spans[FDS];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static const char *root, *shadow;

static int (*real_fsync)(int), (*real_fdatasync)(int), (*real_close)(int);
static int (*real_ftruncate)(int, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);

/* Other libraries begin before this one, and may write. */
__attribute__((constructor)) static void begin(void) {
    if (real_write)
        return;
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_close = dlsym(RTLD_NEXT, "close");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite");
    root = getenv("POWERFAIL_ROOT");
    shadow = getenv("POWERFAIL_SHADOW");
    real_write = dlsym(RTLD_NEXT, "write");
}

/* The path of the descriptor below the root, or NULL. */
static const char *below_root(int fd, char *path) {
    char link[64];
    if (!root || !shadow)
        return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    size_t prefix = strlen(root);
    if (length < (ssize_t)prefix || strncmp(path, root, prefix))
        return NULL;
    path[length] = 0;
    return path[prefix] == '/' ? path + prefix + 1 : path[prefix] ? NULL : path + prefix;
}

static void note(int fd, off_t from, off_t to) {
    if (fd < 0 || fd >= FDS || !root)
        return;
    pthread_mutex_lock(&mutex);
    struct span *span = &spans[fd];
    if (span->to == 0 || from < span->from)
        span->from = from;
    if (to > span->to)
        span->to = to;
    pthread_mutex_unlock(&mutex);
}

static void keep_file(int fd, const struct stat *facts) {
    static char piece[1 << 16];
    char name[PATH_MAX], link[64];
    struct span whole = {0, LLONG_MAX, 0}, *span = fd < FDS ? &spans[fd] : &whole;
    off_t at = span->known ? span->from : 0, end = span->known ? span->to : LLONG_MAX;
    snprintf(name, sizeof name, "%s/files/%lu", shadow, (unsigned long)facts->st_ino);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int in = open(link, O_RDONLY | O_CLOEXEC), out = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (end > facts->st_size)
        end = facts->st_size;
    while (in >= 0 && at < end) {
        size_t wanted = (size_t)(end - at) < sizeof piece ? (size_t)(end - at) : sizeof piece;
        ssize_t got = pread(in, piece, wanted, at);
        if (got <= 0)
            break;
        real_pwrite(out, piece, (size_t)got, at);
        at += got;
    }
    real_ftruncate(out, facts->st_size);
    real_close(in);
    real_close(out);
    *span = (struct span){0, 0, 1};
}

static void keep_names(int fd, const char *folder) {
    char name[PATH_MAX], partial[PATH_MAX + 8], path[64];
    snprintf(name, sizeof name, "%s/names/%%%s", shadow, folder);
    for (char *at = name + strlen(shadow) + 7; *at; at++)
        if (*at == '/')
            *at = '%';
    snprintf(partial, sizeof partial, "%s.part", name);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    DIR *names = opendir(path);
    FILE *out = fopen(partial, "w");
    struct dirent *entry;
    while (names && out && (entry = readdir(names)))
        fprintf(out, "%lu %d %s\n", (unsigned long)entry->d_ino, entry->d_type == DT_DIR, entry->d_name);
    if (names)
        closedir(names);
    if (out) {
        fclose(out);
        rename(partial, name);
    }
}

static int synced(int fd, int result) {
    char path[PATH_MAX];
    struct stat facts;
    const char *name = result == 0 ? below_root(fd, path) : NULL;
    if (name && fstat(fd, &facts) == 0) {
        pthread_mutex_lock(&mutex);
        if (S_ISDIR(facts.st_mode))
            keep_names(fd, name);
        else
            keep_file(fd, &facts);
        pthread_mutex_unlock(&mutex);
    }
    return result;
}

int fsync(int fd) {
    begin();
    return synced(fd, real_fsync(fd));
}
int fdatasync(int fd) {
    begin();
    return synced(fd, real_fdatasync(fd));
}

int close(int fd) {
    begin();
    if (fd >= 0 && fd < FDS)
        spans[fd] = (struct span){0, 0, 0};
    return real_close(fd);
}

ssize_t write(int fd, const void *octets, size_t size) {
    begin();
    ssize_t written = real_write(fd, octets, size);
    off_t at = written > 0 && root ? lseek(fd, 0, SEEK_CUR) : -1;
    if (at >= written)
        note(fd, at - written, at);
    return written;
}

ssize_t pwrite(int fd, const void *octets, size_t size, off_t at) {
    begin();
    ssize_t written = real_pwrite(fd, octets, size, at);
    if (written > 0)
        note(fd, at, at + written);
    return written;
}
ssize_t pwrite64(int fd, const void *octets, size_t size, off_t at) { return pwrite(fd, octets, size, at); }

int ftruncate(int fd, off_t size) {
    begin();
    int result = real_ftruncate(fd, size);
    if (result == 0)
        note(fd, size, LLONG_MAX);
    return result;
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }
