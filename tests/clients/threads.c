/* threads.c: eight threads call a library at once, a workspace each, and must get what one thread gets.
 *
 * Compiled as fuzz.c is.   threads CALLS    exits with 1 where a result differs in a bit
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define CALL(function) JOIN(NAME, function)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)
#include TEXT(NAME.h)

#define THREADS 8
#define POINTS 41

typedef struct {
  TYPE y[POINTS * NY], jacobian[POINTS * NY * NX];
} results;

static TYPE x[POINTS * NX];
static results first[THREADS], last[THREADS];
static int calls;

static void evaluate(void *workspace, results *to) {
  if (CALL(_jacobian)(workspace, POINTS, x, to->y, to->jacobian) != 0) abort();
}

/* The first call of all is made by eight threads at once, too. */
static void *work(void *argument) {
  const size_t i = (size_t)((results *)argument - first);
  unsigned char *memory = malloc(CALL(_workspace_size)() + 64);
  void *workspace = memory + (64 - (uintptr_t)memory % 64) % 64;
  int c;
  evaluate(workspace, &first[i]);
  for (c = 0; c < calls; ++c) evaluate(workspace, &last[i]);
  free(memory);
  return NULL;
}

int main(int argc, char **argv) {
  pthread_t threads[THREADS];
  int i, wrong = 0;
  calls = argc > 1 ? atoi(argv[1]) : 100;
  for (i = 0; i < POINTS * NX; ++i) x[i] = (TYPE)(i % 7) / 7 - (TYPE)0.5;
  for (i = 0; i < THREADS; ++i)
    if (pthread_create(&threads[i], NULL, work, &first[i]) != 0) return 2;
  for (i = 0; i < THREADS; ++i) pthread_join(threads[i], NULL);
  for (i = 0; i < THREADS; ++i)
    wrong += memcmp(&first[0], &first[i], sizeof(results)) != 0 || memcmp(&first[0], &last[i], sizeof(results)) != 0;
  printf("%d threads, %d differ\n", THREADS, wrong);
  return wrong != 0;
}
