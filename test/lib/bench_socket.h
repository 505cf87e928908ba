/* bench_socket.h: what bytes cost over a bare socket. */
#ifndef TEST_LIB_BENCH_SOCKET_H
#define TEST_LIB_BENCH_SOCKET_H

#include <stddef.h>

/* Nanoseconds from the first write to the last read of so many bytes over a Unix stream socket between two processes, written and
 * read in blocks. 0: no socket, no memory or no process. */
double bench_socket_ns(size_t bytes, size_t block);

#endif
