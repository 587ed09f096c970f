/* harness.h: the time of evaluate() for n points, and its results, so that they can be compared.
 *
 * Included by library_bench.c and by_hand.cpp, which are compiled with -DTYPE=float, -DX_SIZE=6 for one point's
 * input and -DSIZES=6,36 for its outputs.
 *   program N X_FILE RESULTS_FILE [WEIGHTS_FILE]    prints the median of the rounds, microseconds a call
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const size_t sizes[] = {SIZES};
#define OUTPUTS (sizeof sizes / sizeof sizes[0])
#define MOST_ROUNDS 15
/* What a round should take, in microseconds. */
#define ROUND 5e3

static int prepare(const char *weights_file);
static int evaluate(int64_t n, const TYPE *x, TYPE *const *outputs);

static double now(void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void *aligned(size_t bytes) {
  unsigned char *memory = (unsigned char *)malloc(bytes + 64);
  return memory + (64 - (size_t)memory % 64) % 64;
}

static int read_all(const char *path, void *data, size_t bytes) {
  FILE *file = fopen(path, "rb");
  const size_t got = file == NULL ? 0 : fread(data, 1, bytes, file);
  if (file != NULL) fclose(file);
  return got == bytes;
}

int main(int argc, char **argv) {
  const size_t n = argc > 3 ? (size_t)atoll(argv[1]) : 0;
  TYPE *x = (TYPE *)aligned(sizeof(TYPE) * n * X_SIZE), *outputs[OUTPUTS];
  double rounds[MOST_ROUNDS], start;
  size_t i, calls;
  int r, count;
  FILE *file;
  if (n == 0 || !read_all(argv[2], x, sizeof(TYPE) * n * X_SIZE) || !prepare(argc > 4 ? argv[4] : NULL)) return 2;
  for (i = 0; i < OUTPUTS; ++i) outputs[i] = (TYPE *)aligned(sizeof(TYPE) * n * sizes[i]);
  if (evaluate((int64_t)n, x, outputs) != 0 || (file = fopen(argv[3], "wb")) == NULL) return 3;
  for (i = 0; i < OUTPUTS; ++i) fwrite(outputs[i], sizeof(TYPE) * sizes[i], n, file);
  fclose(file);
  start = now();
  if (evaluate((int64_t)n, x, outputs) != 0) return 3;
  calls = 1 + (size_t)(ROUND / (now() - start + 0.1));
  count = calls > 1 ? MOST_ROUNDS : 5;
  for (r = 0; r < count; ++r) {
    start = now();
    for (i = 0; i < calls; ++i)
      if (evaluate((int64_t)n, x, outputs) != 0) return 3;
    rounds[r] = (now() - start) / (double)calls;
  }
  qsort(rounds, (size_t)count, sizeof rounds[0], compare);
  printf("%.4f\n", rounds[count / 2]);
  return 0;
}
