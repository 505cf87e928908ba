/* headers.c: the header instructions of compiled code. A program asks for several things of one packet's headers, so what was parsed
 * last is kept: bytes of packets do not change while a burst runs. */
#include "jit/parts.h"
#include "state/shard.h"
#include "vm/packet.h"

static const struct vfm_headers *headers_of(struct jit_env *env, const uint8_t *data, uint64_t len)
{
	if (env->parsed != data || env->parsed_len != len) {
		vfm_parse(data, (uint32_t)len, &env->headers);
		env->parsed = data;
		env->parsed_len = len;
	}
	return &env->headers;
}

uint64_t jit_hdr(struct jit_env *env, const uint8_t *data, uint64_t len, uint64_t item)
{
	return vfm_hdr_of(headers_of(env, data, len), (uint8_t)item);
}

uint64_t jit_hash5(struct jit_env *env, const uint8_t *data, uint64_t len)
{
	return vfm_hash5_of(data, headers_of(env, data, len), false, env->shard->seed);
}

uint64_t jit_hash5s(struct jit_env *env, const uint8_t *data, uint64_t len)
{
	return vfm_hash5_of(data, headers_of(env, data, len), true, env->shard->seed);
}
