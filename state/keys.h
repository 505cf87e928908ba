/* keys.h: who may take part in a cluster over a network: CURVE keys in files, as czmq's certificates are (docs/protocol.md).
 *
 * Each process has a pair: NAME, the public key, for everybody, and NAME_secret, both keys, for itself alone. A directory holds the
 * public files of all who may take part; the name of a file is the peer's name.
 */
#ifndef STATE_KEYS_H
#define STATE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYS_TEXT_BYTES (40 + 1) /* Z85 */
#define KEYS_NAME_BYTES 64
#define KEYS_MAX_PEERS  256
#define KEYS_WHY_BYTES  400

/* The name that a controller's public key is looked up by, where --controller names no other (EP@NAME). */
#define KEYS_CONTROLLER "controller"

struct keys {
	char public_key[KEYS_TEXT_BYTES], secret_key[KEYS_TEXT_BYTES];
	uint32_t n_peers;
	struct {
		char name[KEYS_NAME_BYTES], public_key[KEYS_TEXT_BYTES];
	} peers[KEYS_MAX_PEERS];
};

/* Whether what is said at endpoint leaves the machine: tcp anywhere but on loopback. Then keys are needed. */
bool keys_needed(const char *endpoint);
/* Reads the process's own secret file and the peers' public files. -EINVAL, -EIO, -ENOSPC with why (what, where: what to do). */
int keys_load(struct keys *k, const char *file, const char *directory, char why[KEYS_WHY_BYTES]);
/* Writes FILE and FILE_secret (readable by its owner alone). -EEXIST: there is one; -errno. */
int keys_write(const char *file, const char *public_key, const char *secret_key);
/* The peer of a public key, or of a name; NULL: it is no peer. */
const char *keys_name_of(const struct keys *k, const char *public_key);
const char *keys_key_of(const struct keys *k, const char *name);

/* Splits what an operator gives, EP or EP@NAME, or what peers tell each other, `EP KEY`: the endpoint without it, and the key. With k
 * NULL the key is empty. -EINVAL: too long; -ENOKEY: nobody of that name, or with that key, is a peer. */
int keys_resolve(const struct keys *k, const char *text, char endpoint[257], char key[KEYS_TEXT_BYTES]);

#endif
