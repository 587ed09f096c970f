/* peak.c: the most that one core can do, in GFLOP/s: independent fused multiply-adds in registers.
 *
 * -DTYPE=float -DBYTES=32 (a vector's; 64 with AVX-512)
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

typedef TYPE vector __attribute__((vector_size(BYTES)));
#define LANES (BYTES / sizeof(TYPE))
#define CHAINS 12 /* more than latency times throughput; fewer than registers */
#define STEPS 200000
#define ROUNDS 15

static double now(void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(void) {
  vector chains[CHAINS], factor, term;
  double best = 0;
  volatile TYPE sink = 0;
  int r, s, c;
  for (c = 0; c < (int)LANES; ++c) factor[c] = (TYPE)0.999, term[c] = (TYPE)0.001;
  for (c = 0; c < CHAINS; ++c) chains[c] = term;
  for (r = 0; r < ROUNDS; ++r) {
    const double start = now();
    double rate;
    for (s = 0; s < STEPS; ++s)
      for (c = 0; c < CHAINS; ++c) chains[c] = chains[c] * factor + term;
    rate = 2e-9 * LANES * CHAINS * STEPS / (now() - start);
    if (rate > best) best = rate;
  }
  for (c = 0; c < CHAINS; ++c) sink += chains[c][0];
  printf("%.2f\n", best);
  return 0;
}
