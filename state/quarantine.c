#include "state/quarantine.h"

#include <string.h>

void quarantine_name(uint64_t id, uint8_t name[QUARANTINE_NAME_BYTES])
{
	name[0] = 'N';
	memcpy(name + 1, &id, sizeof id);
}

uint64_t quarantine_id(const uint8_t *name, uint32_t n_bytes)
{
	uint64_t id = 0;
	if (n_bytes == QUARANTINE_NAME_BYTES && name[0] == 'N')
		memcpy(&id, name + 1, sizeof id);
	return id;
}

bool quarantine_has(const struct quarantine *q, uint64_t id)
{
	for (uint32_t i = 0; id && i < q->n; i++)
		if (q->id[i] == id)
			return true;
	return false;
}

bool quarantine_drops(struct quarantine *q, uint64_t id)
{
	bool drops = quarantine_has(q, id);
	q->dropped_frames += drops;
	return drops;
}

bool quarantine_bad(struct quarantine *q, uint64_t id)
{
	q->bad_frames++;
	if (!id || quarantine_has(q, id))
		return false;
	q->id[q->next] = id;
	q->next = (q->next + 1) % QUARANTINE_MAX;
	q->n += q->n < QUARANTINE_MAX;
	return true;
}
