/* libmemcached by UDP, which it has for changes that nobody waits for: the server at argv[1], by TCP at argv[2]; argv[3] may
 * be `binary`. */

#include <libmemcached/memcached.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int failed;

/* The value of a key by TCP, once it is `wanted` (NULL: missing) or five seconds are over. */
static void expect(memcached_st *tcp, const char *what, const char *key, const char *wanted) {
    for (int look = 0; look < 500; look++) {
        size_t length;
        uint32_t flags;
        memcached_return_t rc;
        char *value = memcached_get(tcp, key, strlen(key), &length, &flags, &rc);
        int is_there = rc == MEMCACHED_SUCCESS;
        int is_right = wanted ? is_there && length == strlen(wanted) && memcmp(value, wanted, length) == 0
                              : rc == MEMCACHED_NOTFOUND;
        free(value);
        if (is_right) {
            printf("ok libmemcached by UDP: %s\n", what);
            return;
        }
        usleep(10000);
    }
    printf("FAIL libmemcached by UDP: %s\n", what);
    failed = 1;
}

static memcached_st *client(const char *address, int by_udp, int binary) {
    char host[64];
    snprintf(host, sizeof host, "%s", address);
    char *colon = strrchr(host, ':');
    *colon = '\0';
    memcached_st *made = memcached_create(NULL);
    if (by_udp && memcached_behavior_set(made, MEMCACHED_BEHAVIOR_USE_UDP, 1) != MEMCACHED_SUCCESS) {
        printf("FAIL libmemcached by UDP: it has none\n");
        exit(1);
    }
    memcached_behavior_set(made, MEMCACHED_BEHAVIOR_BINARY_PROTOCOL, binary);
    in_port_t port = (in_port_t)atoi(colon + 1);
    memcached_server_add(made, host, port);
    return made;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        return 2;
    }
    int binary = argc > 3 && strcmp(argv[3], "binary") == 0;
    memcached_st *udp = client(argv[1], 1, binary), *tcp = client(argv[2], 0, binary);
    memcached_set(udp, "u", 1, "10", 2, 0, 0);
    expect(tcp, "set", "u", "10");
    memcached_increment(udp, "u", 1, 5, NULL);
    expect(tcp, "increment", "u", "15");
    memcached_append(udp, "u", 1, "7", 1, 0, 0);
    expect(tcp, "append", "u", "157");
    memcached_add(udp, "v", 1, "new", 3, 0, 0);
    expect(tcp, "add", "v", "new");
    memcached_replace(udp, "v", 1, "newer", 5, 0, 0);
    expect(tcp, "replace", "v", "newer");
    memcached_delete(udp, "v", 1, 0);
    expect(tcp, "delete", "v", NULL);
    char value[1300];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    memcached_set(udp, "w", 1, value, sizeof value - 1, 0, 0);
    expect(tcp, "a value that fills a datagram", "w", value);
    memcached_free(udp);
    memcached_free(tcp);
    return failed;
}
