/* call_loop.c: the time of a library's function called in a loop of C. For python_calls.py, which loads it. */
#include <stdint.h>
#include <time.h>

typedef int function(void *workspace, int64_t n, const void *x, void *y, void *derivative);

static double now(void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

/* Microseconds a call. */
double loop(function *call, int calls, void *workspace, int64_t n, const void *x, void *y, void *derivative) {
  double start = now();
  for (int i = 0; i < calls; ++i) call(workspace, n, x, y, derivative);
  return (now() - start) / calls;
}
