/* steer.h: writes candidates for the steering program: the program's own way, along branches that the packet alone decides, to the
 * first access of an owned object, and there the part of the key that the role names. */
#ifndef ANALYSIS_STEER_H
#define ANALYSIS_STEER_H

#include "analysis/analysis.h"
#include "analysis/key.h"

enum steer_role_kind {
	STEER_WHOLE,     /* the key itself */
	STEER_TOP_FIELD, /* the key's highest field; of a wider one the upper `bits` bits, unless that is 0 */
	STEER_FIELD,     /* the field that begins at `lowest` and has `bits` bits, wherever it stands */
};

struct steer_role {
	enum steer_role_kind kind;
	struct key_bit lowest;
	uint8_t bits;
};

/* What is kept of a key form that was met at an owned site: the search takes its roles and guards from them. */
struct steer_seen {
	uint32_t site; /* value id */
	struct key_form form;
};
#define STEER_MAX_SEEN 256

/* Both set bit SPLIT_LIMIT_x of *limits for what they gave up. */
/* Fills the steering program of cert for the role. owned[v]: value v is an owned access site. 0; -ENOTSUP with why: the role does
 * not fit the program; -ENOMEM. */
int steer_write(const struct ir *ir, const bool *owned, const struct steer_role *role, struct cert *cert, char *why,
		size_t why_bytes, uint32_t *limits);
/* Every key form of every owned site that the walk meets, the ones behind the first access of a path included; seen has room for
 * STEER_MAX_SEEN. 0 or -ENOMEM. */
int steer_survey(const struct ir *ir, const bool *owned, struct steer_seen *seen, uint32_t *n_seen, uint32_t *limits);

/* The row for one site's key form under the role; false if the role does not fit it. */
bool steer_row(const struct steer_role *role, const struct key_form *form, uint8_t table, struct cert_row *row);

#endif
