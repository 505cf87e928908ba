/* transfer.h: what keeping a hot standby up to date would cost on real traffic, by how much the analysis is allowed to leave out. */
#ifndef ANALYSIS_TRANSFER_H
#define ANALYSIS_TRANSFER_H

#include "analysis/stages.h"
#include "vm/packet.h"

#define TRANSFER_ENTRY_BYTES    16 /* key and value */
#define TRANSFER_BURST_PKTS     32
#define TRANSFER_TABLE_CAPACITY 65536u /* of tables that the program does not declare */

/* What is sent after each packet (after each burst): X(letter, what it is). */
#define TRANSFER_BASELINES(X) \
	X(A, "all state present, after each packet") \
	X(B, "all state of updateable objects, after each packet") \
	X(C, "all state of output-impacting updateable objects, after each packet") \
	X(D, "the entries that the packet changed") \
	X(E, "the entries that changed, once per burst of 32 packets")

#define TRANSFER_ENUM(letter, text) TRANSFER_##letter,
enum transfer_baseline { TRANSFER_BASELINES(TRANSFER_ENUM) TRANSFER_N };
#undef TRANSFER_ENUM

struct transfer_sums {
	uint64_t packets;
	uint64_t bytes[TRANSFER_N];
};

struct transfer;

/* NULL: out of memory. ir, o and s must outlive it. */
struct transfer *transfer_new(const struct ir *ir, const struct objects *o, const struct stages *s);
void transfer_free(struct transfer *t);
/* Runs the packet and counts. */
void transfer_packet(struct transfer *t, const struct vfm_packet *packet);
/* The sums so far, an unfinished burst included. */
struct transfer_sums transfer_sums(const struct transfer *t);

/* Of the sums: bytes a packet, and how many times as much (a) would be; 0 packets: 0, nothing sent: a ratio of 0. */
double transfer_bytes_per_packet(const struct transfer_sums *s, enum transfer_baseline b);
double transfer_ratio(const struct transfer_sums *s, enum transfer_baseline b);

#endif
