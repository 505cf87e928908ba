#include "node/follow.h"

#include "node/json.h"
#include "node/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 200

struct follow {
	struct link_asker *asker;
	uint64_t asked_us;
	bool waits; /* for an answer */
};

int follow_open(struct follow **out, const char *controller, const struct keys *keys)
{
	struct follow *f = calloc(1, sizeof *f);
	int err = f ? link_asker_open(&f->asker, controller, keys) : -ENOMEM;
	if (err)
		free(f);
	else
		*out = f;
	return err;
}

void follow_close(struct follow *f)
{
	if (f)
		link_asker_close(f->asker);
	free(f);
}

int follow_plan(struct follow *f, struct deploy *d, const volatile int *stop, char why[DEPLOY_WHY_BYTES])
{
	f->waits = false;
	while (!*stop) {
		char *text = link_ask(f->asker, "{\"command\":\"plan\"}") ? NULL : link_asked(f->asker, WAIT_MS);
		json_t *o = text ? json_loads(text, 0, NULL) : NULL, *plan = json_object_get(o, "plan");
		char *plan_text = json_is_object(plan) ? json_dumps(plan, JSON_COMPACT) : NULL;
		int err = plan_text ? deploy_decode(d, plan_text, strlen(plan_text), why) : -EAGAIN;
		free(plan_text);
		json_decref(o);
		free(text);
		if (err != -EAGAIN)
			return err;
		if (text)
			(void)link_asked(f->asker, WAIT_MS); /* nothing: a pause */
	}
	return -EINTR;
}

bool follow_changed(struct follow *f, uint64_t digest, uint64_t now_us)
{
	if (now_us - f->asked_us >= FOLLOW_ASK_US) {
		f->asked_us = now_us;
		f->waits = link_ask(f->asker, "{\"command\":\"digest\"}") == 0;
	}
	char *text = f->waits ? link_asked(f->asker, 0) : NULL;
	if (!text)
		return false;
	f->waits = false;
	json_t *o = json_loads(text, 0, NULL);
	const char *has = json_string_value(json_object_get(o, "digest"));
	bool changed = has && strtoull(has, NULL, 16) != digest;
	json_decref(o);
	free(text);
	return changed;
}
