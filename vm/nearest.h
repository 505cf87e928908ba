/* nearest.h: "did you mean ...?": the known name nearest to a mistyped one. */
#ifndef VM_NEAREST_H
#define VM_NEAREST_H

#include <stdbool.h>
#include <stdint.h>

#define NEAREST_MAX_NAME_BYTES 64

/* A search for the name nearest to a wanted one (neither needs to end in NUL; longer than NEAREST_MAX_NAME_BYTES: no match). */
struct nearest {
	const char *wanted;
	uint32_t wanted_bytes;
	bool ignore_case;
	uint32_t distance; /* of the best so far; starts as one more than is worth suggesting */
	const char *best;  /* not owned; NULL: none near enough */
	uint32_t best_bytes;
};

void nearest_init(struct nearest *n, const char *wanted, uint32_t wanted_bytes, bool ignore_case);
/* Offers one known name; of equally near ones the first offered stays. Distance: insertions, deletions, replacements and swaps of
 * neighbours; near enough is a third of the wanted name's length, rounded, at least 1, at most 3. */
void nearest_offer(struct nearest *n, const char *name, uint32_t name_bytes);

#endif
