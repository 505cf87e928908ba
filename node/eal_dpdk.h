/* eal_dpdk.h: DPDK's environment: start from a line of arguments, run a function on every core, count cycles.
 *
 * A process starts it at most once. Each lcore of the arguments (-l, --lcores) is a core here, numbered 0 to eal_cores() - 1 in ascending order of lcore.
 */
#ifndef NODE_EAL_DPDK_H
#define NODE_EAL_DPDK_H

#include <stdbool.h>
#include <stdint.h>

#define EAL_MAX_CORES   16
#define EAL_ERROR_BYTES 640

/* Starts DPDK with args: words, of which '...' and "..." keep spaces. -EINVAL: the line is malformed (open quote, more than 64
 * words or 4096 bytes) or asks for more than EAL_MAX_CORES; -EIO: DPDK refused; error says "what, where: what to do" with
 * DPDK's own last words. */
int eal_start(const char *program, const char *args, char error[EAL_ERROR_BYTES]);
void eal_stop(void);
/* A complaint of DPDK while it started (it goes on without a device that it cannot make), "" if there was none. */
const char *eal_said(void);

/* DPDK has bound the thread that started it to its core: true lets it run wherever it might before, false binds it again. The threads
 * that it makes meanwhile inherit that. */
void eal_roam(bool roams);

uint32_t eal_cores(void);
/* Runs fn(arg, core) on every core, one of them the calling thread (which started DPDK), and waits for all. */
void eal_run(void (*fn)(void *arg, uint32_t core), void *arg);

/* The time stamp counter and its rate; without DPDK started, nanoseconds. */
uint64_t eal_cycles(void);
uint64_t eal_hz(void);

#endif
