/*
 * An internet of a few hosts: LD_PRELOAD this, and the file INTERNET says which names there are
 * and what stands behind their ports. It is read at each question, so it may change.
 *
 *     name smtp.b.example 198.51.100.1
 *     door 198.51.100.1 587 40123        a server of this machine, on 127.0.0.1
 *
 * Other names do not exist. Of 198.51.100.0/24 (RFC 5737), ports without a line are closed. A
 * connection to this machine by its own address is left alone.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define DESCRIPTORS 4096
#define PORT(address) ntohs(((const struct sockaddr_in *)(address))->sin_port)

static struct {
    struct sockaddr_in asked;
    int behind;
} doors[DESCRIPTORS];

static int is_ours(const struct sockaddr *address) {
    if (!address || address->sa_family != AF_INET)
        return 0;
    return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 8 == 0xc63364;
}

/* The third word of the line that begins with these, or an empty one. */
static void look_up(const char *kind, const char *first, const char *second, char found[64]) {
    char line[256], word[4][64];
    const char *path = getenv("INTERNET");
    FILE *file = path ? fopen(path, "re") : NULL;
    found[0] = 0;
    while (file && fgets(line, sizeof line, file)) {
        int words = sscanf(line, "%63s %63s %63s %63s", word[0], word[1], word[2], word[3]);
        if (words < 3 || strcmp(word[0], kind) || strcasecmp(word[1], first))
            continue;
        if (second && (words < 4 || strcmp(word[2], second)))
            continue;
        strcpy(found, word[second ? 3 : 2]);
    }
    if (file)
        fclose(file);
}

static int is_of_this_machine(const char *node) {
    unsigned char octets[16];
    return !node || !strcmp(node, "localhost") || inet_pton(AF_INET, node, octets) == 1 ||
           inet_pton(AF_INET6, node, octets) == 1;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        dlsym(RTLD_NEXT, "getaddrinfo");
    char address[64];
    if (is_of_this_machine(node))
        return real(node, service, hints, result);
    look_up("name", node, NULL, address);
    return address[0] ? real(address, service, hints, result) : EAI_NONAME;
}

int connect(int fd, const struct sockaddr *address, socklen_t length) {
    int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
    if (!is_ours(address))
        return real(fd, address, length);
    struct sockaddr_in to = *(const struct sockaddr_in *)address;
    char ip[INET_ADDRSTRLEN], port[8], behind[64];
    inet_ntop(AF_INET, &to.sin_addr, ip, sizeof ip);
    snprintf(port, sizeof port, "%d", PORT(address));
    look_up("door", ip, port, behind);
    if (!behind[0] || fd >= DESCRIPTORS) {
        errno = ECONNREFUSED;
        return -1;
    }
    doors[fd].asked = to;
    doors[fd].behind = atoi(behind);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(doors[fd].behind);
    return real(fd, (struct sockaddr *)&to, sizeof to);
}

int getpeername(int fd, struct sockaddr *address, socklen_t *length) {
    int (*real)(int, struct sockaddr *, socklen_t *) = dlsym(RTLD_NEXT, "getpeername");
    int result = real(fd, address, length);
    if (result || fd >= DESCRIPTORS || address->sa_family != AF_INET || !doors[fd].behind)
        return result;
    if (PORT(address) == doors[fd].behind)
        memcpy(address, &doors[fd].asked, sizeof doors[fd].asked);
    return 0;
}
