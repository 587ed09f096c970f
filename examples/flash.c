/* flash.c: states of water from pressure and internal energy.
 *
 * An implicit solver in small: given (p, u), find (T, rho) with
 *     f(T, rho) = (p, u)
 * by Newton's method, for thousands of states, where f is a Keras model in a C library that
 * tfgradkit wrote. The tangent df/d(T, rho) comes from the library, exactly; the same is solved
 * again with a tangent from finite differences, as one would without it. Links only that library.
 *
 *   tfgradkit compile saved_models/water_eos.keras --output build/eos --name eos --derivative jacobian
 *   cc -O2 -I build/eos/include examples/flash.c build/eos/lib/libeos.a -lm -o build/flash
 *   build/flash 10000
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "eos.h"

#define ITERATIONS 40
#define TOLERANCE 1e-11 /* of the residual, relative to the scales below */

static const double SCALE[2] = {1e8, 1e6}; /* Pa, J/kg */
static const double LOW[2] = {660.0, 1.0}, HIGH[2] = {1100.0, 500.0};

typedef int evaluation(void *workspace, int64_t n, const double *x, double *y, double *jacobian);

typedef struct {
  double *state;    /* n x 2: T, rho */
  double *value;    /* n x 2: p, u */
  double *tangent;  /* n x 2 x 2 */
  double *residual; /* n: the largest scaled component */
  double history[ITERATIONS + 1];
  int iterations;
  int64_t unsolved;
  double seconds;
} solution;

static double seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

static double *numbers(int64_t count) {
  double *memory = malloc(sizeof(double) * (size_t)(count > 0 ? count : 1));
  if (memory == NULL) {
    fprintf(stderr, "flash: no memory for %lld numbers\n", (long long)count);
    exit(1);
  }
  return memory;
}

static int exact_tangent(void *workspace, int64_t n, const double *x, double *y, double *jacobian) {
  return eos_jacobian(workspace, n, x, y, jacobian);
}

/* Forward differences: the value at x and at two points beside it. */
static int difference_tangent(void *workspace, int64_t n, const double *x, double *y, double *jacobian) {
  double *moved = numbers(2 * n), *beside = numbers(2 * n);
  int status = eos_value(workspace, n, x, y);
  int64_t i;
  int k;
  for (k = 0; k < 2 && status >= 0; ++k) {
    memcpy(moved, x, sizeof(double) * 2 * (size_t)n);
    for (i = 0; i < n; ++i) moved[2 * i + k] += 1e-7 * fabs(x[2 * i + k]);
    status = eos_value(workspace, n, moved, beside);
    for (i = 0; i < n; ++i) {
      const double step = moved[2 * i + k] - x[2 * i + k];
      jacobian[4 * i + k] = (beside[2 * i] - y[2 * i]) / step;
      jacobian[4 * i + 2 + k] = (beside[2 * i + 1] - y[2 * i + 1]) / step;
    }
  }
  free(moved);
  free(beside);
  return status;
}

static double clamp(double value, double low, double high) { return value < low ? low : value > high ? high : value; }

/* One Newton step for one state, damped so that it stays within the model's range. */
static void newton_step(double *x, const double *y, const double *j, const double *goal) {
  const double r0 = goal[0] - y[0], r1 = goal[1] - y[1];
  const double determinant = j[0] * j[3] - j[1] * j[2];
  const double step[2] = {(j[3] * r0 - j[1] * r1) / determinant, (j[0] * r1 - j[2] * r0) / determinant};
  int k;
  for (k = 0; k < 2; ++k) {
    const double most = 0.3 * (HIGH[k] - LOW[k]);
    x[k] = clamp(x[k] + clamp(step[k], -most, most), LOW[k], HIGH[k]);
  }
}

static int solve(evaluation *evaluate, void *workspace, int64_t n, const double *goal, solution *s) {
  const double start = seconds();
  int64_t i;
  int k;
  for (i = 0; i < n; ++i)
    for (k = 0; k < 2; ++k) s->state[2 * i + k] = 0.5 * (LOW[k] + HIGH[k]);
  for (s->iterations = 0; s->iterations <= ITERATIONS; ++s->iterations) {
    const int status = evaluate(workspace, n, s->state, s->value, s->tangent);
    double worst = 0;
    if (status < 0 || status & 1) {
      fprintf(stderr, "flash: %s\n", eos_status_text(status));
      return 1;
    }
    s->unsolved = 0;
    for (i = 0; i < n; ++i) {
      double residual = 0;
      for (k = 0; k < 2; ++k) residual = fmax(residual, fabs(goal[2 * i + k] - s->value[2 * i + k]) / SCALE[k]);
      s->residual[i] = residual;
      worst = fmax(worst, residual);
      s->unsolved += residual > TOLERANCE;
    }
    s->history[s->iterations] = worst;
    if (s->unsolved == 0 || s->iterations == ITERATIONS) break;
    for (i = 0; i < n; ++i)
      if (s->residual[i] > TOLERANCE) newton_step(&s->state[2 * i], &s->value[2 * i], &s->tangent[4 * i], &goal[2 * i]);
  }
  s->seconds = seconds() - start;
  return 0;
}

/* States spread over the range by the golden ratio; their (p, u) is what is solved for. */
static void make_goals(void *workspace, int64_t n, double *truth, double *goal) {
  int64_t i;
  for (i = 0; i < n; ++i) {
    const double a = ((double)i + 0.5) / (double)n, b = fmod(0.5 + 0.6180339887498949 * (double)i, 1.0);
    truth[2 * i] = LOW[0] + (0.02 + 0.96 * a) * (HIGH[0] - LOW[0]);
    truth[2 * i + 1] = LOW[1] + (0.02 + 0.96 * b) * (HIGH[1] - LOW[1]);
  }
  eos_value(workspace, n, truth, goal);
}

static solution make_solution(int64_t n) {
  solution s;
  memset(&s, 0, sizeof s);
  s.state = numbers(2 * n);
  s.value = numbers(2 * n);
  s.tangent = numbers(4 * n);
  s.residual = numbers(n);
  return s;
}

static void report(const char *name, const solution *s, int64_t n, const double *truth) {
  double worst = 0;
  int64_t i;
  int k;
  for (i = 0; i < 2 * n; ++i) worst = fmax(worst, fabs(s->state[i] - truth[i]) / (HIGH[i % 2] - LOW[i % 2]));
  printf("%s\n  iterations %d, states not solved %lld of %lld\n", name, s->iterations, (long long)s->unsolved, (long long)n);
  printf("  largest residual by iteration (scaled):");
  for (k = 0; k <= s->iterations; ++k) printf(" %.1e", s->history[k]);
  printf("\n  largest error of (T, rho), relative to their range: %.1e\n", worst);
  printf("  time: %.2f us a state, %.2f us a state and iteration\n", 1e6 * s->seconds / (double)n,
         1e6 * s->seconds / (double)n / (double)(s->iterations + 1));
}

int main(int argc, char **argv) {
  const long long asked = argc > 1 ? atoll(argv[1]) : 10000;
  const int64_t n = asked;
  unsigned char *memory = malloc(eos_workspace_size() + 64);
  void *workspace = memory == NULL ? NULL : memory + (64 - (uintptr_t)memory % 64) % 64;
  double error = 0, *truth, *goal;
  solution exact, differences;
  int failed;
  if (workspace == NULL || asked < 1) {
    fprintf(stderr, "usage: flash [number of states, at least 1]\n");
    return 2;
  }
  if (eos_selftest(&error) != 0) {
    fprintf(stderr, "flash: the library fails its self-test, error %.1e\n", error);
    return 1;
  }
  printf("self-test of the library: largest relative error %.1e\n", error);
  truth = numbers(2 * n);
  goal = numbers(2 * n);
  make_goals(workspace, n, truth, goal);
  exact = make_solution(n);
  differences = make_solution(n);
  failed = solve(exact_tangent, workspace, n, goal, &exact) || solve(difference_tangent, workspace, n, goal, &differences);
  if (!failed) {
    report("Newton with the exact tangent", &exact, n, truth);
    report("Newton with finite differences", &differences, n, truth);
    printf("exact tangent: %.2f times as fast\n", differences.seconds / exact.seconds);
  }
  failed = failed || exact.unsolved != 0;
  free(memory);
  free(truth);
  free(goal);
  free(exact.state), free(exact.value), free(exact.tangent), free(exact.residual);
  free(differences.state), free(differences.value), free(differences.tangent), free(differences.residual);
  return failed;
}
