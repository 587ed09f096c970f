/* library_bench.c: the time of one call of a library's value-and-Jacobian function, for n points.
 *
 * Compiled like tests/clients/library_client.c, with -DNAME=mlp -DTYPE=float -DNX=6 -DNY=6.
 *   library_bench N    prints the median, over 21 rounds, of microseconds a call
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define CALL(function) JOIN(NAME, function)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)
#include TEXT(NAME.h)

#define ROUNDS 21

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
  unsigned char *memory = malloc(bytes + 64);
  return memory + (64 - (size_t)memory % 64) % 64;
}

int main(int argc, char **argv) {
  const size_t n = argc > 1 ? (size_t)atoll(argv[1]) : 1;
  void *workspace = aligned(CALL(_workspace_size)());
  TYPE *x = aligned(sizeof(TYPE) * n * NX), *y = aligned(sizeof(TYPE) * n * NY), *jacobian = aligned(sizeof(TYPE) * n * NX * NY);
  const size_t calls = 20000 / n + 1;
  double rounds[ROUNDS];
  size_t i;
  int r;
  for (i = 0; i < n * NX; ++i) x[i] = (TYPE)rand() / (TYPE)RAND_MAX - (TYPE)0.5;
  for (r = 0; r < ROUNDS; ++r) {
    const double start = now();
    for (i = 0; i < calls; ++i)
      if (CALL(_jacobian)(workspace, (int64_t)n, x, y, jacobian) != 0) return 1;
    rounds[r] = (now() - start) / (double)calls;
  }
  qsort(rounds, ROUNDS, sizeof rounds[0], compare);
  printf("%.4f\n", rounds[ROUNDS / 2]);
  return 0;
}
