/* safeguard.h: the protocol's ten safeguards as switches, so that the simulator can show that each one is needed.
 *
 * In the programs SAFEGUARD(x) is the constant true. Only the simulator's build (-DSIM_SAFEGUARDS, Makefile) compiles the switches.
 */
#ifndef STATE_SAFEGUARD_H
#define STATE_SAFEGUARD_H

#include <stdbool.h>

/* M(NAME, what is removed) */
#define SAFEGUARDS(M) \
	M(FENCE, "a replica refuses frames of an older epoch") \
	M(LINEAGE, "an acknowledgement counts only at equal lineage") \
	M(SYNC, "a new owner commits nothing before every in-sync replica has its base") \
	M(CUT, "POSITION and answers to duplicates end at the committed number") \
	M(WAIT, "the owner waits for a learner before it is added") \
	M(ONE_CHANGE, "one change per compare-and-set") \
	M(SECOND_COPY, "a snapshot goes into a second copy") \
	M(INCARNATION, "members are incarnations, not names") \
	M(HOLD, "a verdict is told only after the commit") \
	M(SINGLE, "release early only with a single stream")

#define SAFEGUARD_ENUM(name, doc) SAFEGUARD_##name,
enum safeguard { SAFEGUARDS(SAFEGUARD_ENUM) SAFEGUARD_COUNT };

#ifdef SIM_SAFEGUARDS
extern bool safeguard_removed[SAFEGUARD_COUNT];
#define SAFEGUARD(name) (!safeguard_removed[SAFEGUARD_##name])
#else
#define SAFEGUARD(name) true
#endif

#endif
