/* rehearse.h: a dress rehearsal: a real cluster of processes on this machine plays a capture while shards are moved, nodes are killed,
 * added and taken away, and everything it says is compared with a single instance. */
#ifndef CONTROLLER_REHEARSE_H
#define CONTROLLER_REHEARSE_H

#include "analysis/deploy.h"

#define REHEARSE_WHY_BYTES 512

struct rehearse_options {
	uint32_t nodes, moves, kills;
	uint64_t seed;
	const char *release; /* commit, early, none */
	const char *engine;  /* of the nodes: interp, jit, burst; the single instance interprets */
	uint32_t shards;     /* 0: 64 where the program may be split */
	bool accept_guard, verbose, keep;
	bool dpdk;                    /* packets come in and go out by DPDK ports (net_pcap), else straight from the capture */
	struct deploy_options plan;   /* certificate NULL: the analyzer is asked */
	const char *verdicts, *table; /* kept copies; NULL: none */
	const char *svg;              /* draws the run; NULL: no */
	const char *const *captures;
	uint32_t n_captures; /* more than 1 only with dpdk: played at the same time, each a stream of its own */
};

struct rehearse_result {
	uint64_t packets, differences_e1, differences_e2, first_difference;
	bool e2_known, state_equal;
	uint64_t losses; /* histories of shards declared lost: nobody who had the state answered in time */
	uint64_t lost, released_twice, evictions, moves, promotions, kills, scale_outs, scale_ins, entries_moved, bytes_moved;
	uint64_t freeze_p50_us, freeze_p99_us, freeze_max_us, promote_p50_ms, promote_max_ms, retransmitted;
	double replicated_bytes_per_packet, seconds;
	uint32_t shards;
};

/* 0: the rehearsal was held, *r says how it went. -EINVAL, -EIO, -ETIMEDOUT with why: it could not be held. */
int rehearse(const struct rehearse_options *o, struct rehearse_result *r, char why[REHEARSE_WHY_BYTES]);
/* Equal, nothing lost, and everything asked for was done. */
bool rehearse_passed(const struct rehearse_options *o, const struct rehearse_result *r);

#endif
