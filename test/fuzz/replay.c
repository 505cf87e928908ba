/* replay.c: main() for a fuzz harness without libFuzzer: what a fuzzer found stays found, with any compiler.
 *
 *     build/test/fuzz/NAME [FILE | DIRECTORY]...      (none: test/fuzz/corpus/NAME)
 *
 * Runs LLVMFuzzerTestOneInput on each file, then on REPLAY_ROUNDS (default 20 a file, 2000 with TEST_ALL=1) seeded random changes of it:
 * flipped, replaced, removed and doubled bytes. SEED (default 1) sets the changes. On a crash it prints which input it was.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_INPUT_BYTES (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static char current[512]; /* what runs now, for the signal handler */
static uint64_t random_state;
static unsigned files, changed;

static uint32_t random_below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 16) % n;
}

static void print_current(void)
{
	static const char text[] = "\nnot ok: ended by ";

	if (write(2, text, sizeof text - 1) < 0 || write(2, current, strlen(current)) < 0 || write(2, "\n", 1) < 0)
		_exit(1);
}

static void on_signal(int signal)
{
	print_current();
	raise(signal); /* the handler is gone by now (SA_RESETHAND) */
}

/* Has print_current() run before the process dies; a sanitizer keeps its own handlers and reports. */
static void watch_crashes(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND | SA_NODEFER};

	if (__sanitizer_set_death_callback) {
		__sanitizer_set_death_callback(print_current);
		return;
	}
	for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaction(signals[i], &action, NULL);
}

/* One input, in a heap block of exactly its size, so that a sanitizer sees a read past its end. */
static void run_input(const uint8_t *data, size_t bytes)
{
	uint8_t *copy = malloc(bytes ? bytes : 1);

	if (!copy)
		abort();
	memcpy(copy, data, bytes);
	LLVMFuzzerTestOneInput(copy, bytes);
	free(copy);
}

/* Changes 1 to 4 places of data; returns the new size, at most capacity. */
static size_t change_input(uint8_t *data, size_t bytes, size_t capacity)
{
	for (uint32_t n = 1 + random_below(4); n && bytes; n--) {
		uint32_t at = random_below(bytes), span = 1 + random_below(bytes - at < 16 ? bytes - at : 16);

		switch (random_below(4)) {
		case 0:
			data[at] ^= 1 << random_below(8);
			break;
		case 1:
			data[at] = random_below(256);
			break;
		case 2:
			memmove(data + at, data + at + span, bytes - at - span);
			bytes -= span;
			break;
		default:
			if (bytes + span > capacity)
				break;
			memmove(data + at + span, data + at, bytes - at);
			bytes += span;
		}
	}
	return bytes;
}

static unsigned long setting(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : otherwise;
}

static int replay_file(const char *path)
{
	static uint8_t original[MAX_INPUT_BYTES], data[MAX_INPUT_BYTES + 4 * 16];
	const char *all = getenv("TEST_ALL");
	unsigned long seed = setting("SEED", 1), rounds = setting("REPLAY_ROUNDS", all && !strcmp(all, "1") ? 2000 : 20);
	FILE *f = fopen(path, "rb");
	size_t bytes;

	if (!f) {
		fprintf(stderr, "replay: %s, %s: give files or directories that can be read\n", path, strerror(errno));
		return -1;
	}
	bytes = fread(original, 1, sizeof original, f);
	fclose(f);
	snprintf(current, sizeof current, "%s", path);
	run_input(original, bytes);
	files++;
	random_state = seed * 0x9e3779b97f4a7c15u + bytes + 1;
	for (unsigned long i = 0; i < rounds; i++, changed++) {
		snprintf(current, sizeof current, "change %lu of %.400s (SEED=%lu)", i, path, seed);
		memcpy(data, original, bytes);
		run_input(data, change_input(data, bytes, sizeof data));
	}
	return 0;
}

static int replay(const char *path)
{
	struct dirent **entries;
	char name[1024];
	int n = scandir(path, &entries, NULL, alphasort), err = 0;

	if (n < 0)
		return replay_file(path);
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.' && replay_file(name))
			err = -1;
		free(entries[i]);
	}
	free(entries);
	return err;
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	char corpus[512];
	int err = 0;

	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	watch_crashes();
	snprintf(current, sizeof current, "the empty input");
	run_input((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++)
		err |= replay(argv[i]);
	snprintf(corpus, sizeof corpus, "test/fuzz/corpus/%.400s", slash ? slash + 1 : argv[0]);
	if (argc == 1)
		err |= replay(corpus);
	printf("%s %u inputs and %u changes of them\n", err || !files ? "not ok" : "ok", files, changed);
	return err || !files;
}
