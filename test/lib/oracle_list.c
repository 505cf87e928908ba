/* oracle_list.c: see oracle_list.h. */
#include "test/lib/oracle_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void split_lines(char *assembly)
{
	for (char *at = assembly; (at = strstr(at, " / "));)
		at[1] = '\n';
}

/* Where the value of a key is kept in the stanza; NULL: no such key. */
static char **place_of(struct oracle_filter *f, const char *key)
{
	static const char *const keys[] = {"name", "pcap", "asm", "vfl"};
	char **const places[] = {&f->name, &f->pcap, &f->assembly, &f->vflisp};

	for (int i = 0; i < 4; i++)
		if (strcmp(key, keys[i]) == 0)
			return places[i];
	return NULL;
}

/* One line that is no comment and not empty; a name begins a stanza. */
static int take_line(struct oracle_list *list, char *line)
{
	char key[8], **place;
	int value_at = 0;

	if (sscanf(line, "%7s %n", key, &value_at) != 1 || !line[value_at])
		return -EINVAL;
	if (strcmp(key, "name") == 0 && list->n++ == ORACLE_MAX_FILTERS)
		return -EINVAL;
	place = list->n ? place_of(&list->filters[list->n - 1], key) : NULL;
	if (!place || *place)
		return -EINVAL;
	*place = strdup(line + value_at);
	if (!*place)
		return -ENOMEM;
	if (strcmp(key, "asm") == 0)
		split_lines(*place);
	return 0;
}

int oracle_list_read(struct oracle_list *list, const char *path)
{
	FILE *f = fopen(path, "r");
	char line[4096];
	int rc = 0;

	memset(list, 0, sizeof(*list));
	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -errno;
	}
	for (int number = 1; !rc && fgets(line, sizeof(line), f); number++) {
		line[strcspn(line, "\n")] = 0;
		if (line[0] && line[0] != '#')
			rc = take_line(list, line);
		if (rc)
			fprintf(stderr, "%s:%d: no line of a stanza\n", path, number);
	}
	fclose(f);
	return rc;
}

void oracle_list_fini(struct oracle_list *list)
{
	for (uint32_t i = 0; i < list->n; i++) {
		free(list->filters[i].name);
		free(list->filters[i].pcap);
		free(list->filters[i].assembly);
		free(list->filters[i].vflisp);
	}
	list->n = 0;
}
