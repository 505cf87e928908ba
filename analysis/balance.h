/* balance.h: which of several proved ways to split suits the traffic: the one whose largest class is smallest. A class is what one value
 * of the steering program takes; shards can be evened out between classes but not within one. */
#ifndef ANALYSIS_BALANCE_H
#define ANALYSIS_BALANCE_H

#include "analysis/analysis.h"
#include "vm/packet.h"

/* Later packets of a capture are not counted: 8 bytes of memory a packet and alternative. */
#define BALANCE_MAX_PKTS (1u << 22)

struct balance_result {
	uint64_t packets; /* counted: those that satisfy the guard */
	uint64_t classes; /* different values of the steering program */
	uint64_t largest; /* packets of the largest class */
};

struct balance;

/* certs: n proved certificates, which must outlive it. NULL: out of memory. */
struct balance *balance_new(const struct cert *const *certs, uint32_t n);
void balance_free(struct balance *b);
/* 0 or -ENOMEM. */
int balance_packet(struct balance *b, const struct vfm_packet *packet);
/* Counts for each certificate into results[n], and returns the index of the best; of equal ones the first. */
uint32_t balance_results(struct balance *b, struct balance_result *results);

#endif
