/* cert.h: the partition certificate: how a program's state may be split over shards, and the claim that doing so changes nothing.
 *
 * Certificate = guard G, steering program S, projection pi, lists of config and partial access sites. Every other access site is
 * owned. Valid iff for every packet that satisfies G, every content of the tables and every time: each access to an owned object
 * has pi(table, key) == S(packet), and S does not fault. Then every key belongs to one shard, shard = mix64(S(packet)) cut to the
 * number of shards, and a cluster of shards answers as one machine does (design page "The analyzer").
 *
 * cert_check() (check.c) proves validity and trusts nothing; it shares no code with the search that finds certificates.
 */
#ifndef ANALYSIS_CERT_H
#define ANALYSIS_CERT_H

#include "vm/program.h"

#define CERT_MAX_GUARDS      16
#define CERT_MAX_ROWS        256
#define CERT_MAX_SITES       4096
#define CERT_MAX_STEER_BYTES 4096
#define CERT_FORMAT          "vfm-certificate-1"

/* One conjunct of the guard: (the big-endian value of `bytes` packet bytes at offset) & mask == value, or != value. A packet too
 * short to have the bytes satisfies it: no access can depend on bytes that are not there. */
struct cert_guard {
	uint32_t offset;
	uint8_t bytes; /* 1, 2, 4 or 8 */
	bool equal;
	uint64_t mask;
	uint64_t value;
};

/* One row of the projection; of a table's rows the first with (key & mask) == match applies, and pi = (key >> first) cut to bits.
 * first 0, bits 64: the key itself. */
struct cert_row {
	uint8_t table; /* number */
	uint8_t first; /* 0 .. 63 */
	uint8_t bits;  /* 1 .. 64 - first */
	uint64_t mask;
	uint64_t match;
};

enum cert_class { CERT_SUM, CERT_OR, CERT_MAX, CERT_MIN, CERT_CONSTANT, CERT_CLASSES };

/* An access site that is not owned. */
struct cert_site {
	uint32_t pc;
	uint8_t table;
	bool partial;        /* else config */
	uint8_t merge_class; /* enum cert_class, of partial sites */
};

struct cert {
	uint8_t program_sha256[32];
	uint32_t n_guards;
	uint32_t n_rows;
	uint32_t n_sites;
	uint32_t steer_bytes;
	struct cert_guard guards[CERT_MAX_GUARDS];
	struct cert_row rows[CERT_MAX_ROWS];
	struct cert_site sites[CERT_MAX_SITES]; /* ascending by pc */
	uint8_t steer[CERT_MAX_STEER_BYTES];
};

/* JSON in and out (form in docs/certificate.md). Reading checks form and ranges only; -EINVAL with why filled, -ENOMEM.
 * cert_encode returns a heap string, NULL: out of memory. */
int cert_decode(const char *json, size_t bytes, struct cert *c, char *why, size_t why_bytes);
char *cert_encode(const struct cert *c);
void cert_digest_program(const struct program *p, uint8_t sha256[32]);
const char *cert_class_name(uint8_t merge_class);

/* Is the packet one that the guard lets through? */
bool cert_guard_holds(const struct cert *c, const uint8_t *data, uint32_t len);
/* pi. False: no row applies. */
bool cert_project(const struct cert *c, uint8_t table, uint64_t key, uint64_t *out);
/* The list entry of the site at pc, NULL: the site is owned. */
const struct cert_site *cert_site_at(const struct cert *c, uint32_t pc);

/* What the reason ends with if the program is beyond the checker's bounds. */
#define CERT_BOUNDS_WORDS "too large or too tangled for the checker's bounds"

/* Proves the certificate for the program. 0, or -EINVAL (refused) with the reason in words, or -ENOMEM. Time and memory are linear in
 * the program for programs of ordinary shape; what exceeds the checker's bounds is refused. */
int cert_check(const struct cert *c, const struct program *p, char *why, size_t why_bytes);
/* The same for what the certificate says of the sites that it lists, and of nothing else: no steering program, no rows. */
int cert_check_listed(const struct cert *c, const struct program *p, char *why, size_t why_bytes);

#endif
