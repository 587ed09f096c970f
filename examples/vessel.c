/* vessel.c: a rigid vessel of hot water is heated and blows off through a valve, by implicit Euler.
 *
 * Mass and energy in a volume of 1 m3, with p and u from a Keras model in a C library:
 *     d rho / dt      = -m,          m = valve * (p - outside)
 *     d (rho u) / dt  = heat - m (u + p / rho)
 * Each step solves both for (T, rho) by Newton's method. The library gives dp and du by (T, rho), exactly.
 *
 *   tfgradkit compile saved_models/water_eos.keras --output build/eos --name eos --derivative jacobian
 *   cc -O2 -I build/eos/include examples/vessel.c build/eos/lib/libeos.a -lm -o build/vessel
 *   build/vessel 60 1      seconds to the end, seconds a step; "frozen" as a third: the tangent of each step's start
 *
 * Writes a line for each Newton iteration: time iteration residual T rho p u.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eos.h"

#define ITERATIONS 30
#define TOLERANCE 1e-10

static const double VALVE = 4e-7;    /* kg / (s Pa) */
static const double OUTSIDE = 30e6;  /* Pa */
static const double HEAT = 2e6;      /* W */
static const double SCALE[2] = {100.0, 1e8}; /* of mass and energy, for the residual */

/* residual[2] of the step from (mass, energy), and its matrix by (T, rho), from y = (p, u) and j = d y / d (T, rho). */
static double residual(const double *x, const double *y, const double *j, const double *before, double step,
                       double *r, double *matrix) {
  const double rho = x[1], p = y[0], u = y[1], flow = VALVE * (p - OUTSIDE), enthalpy = u + p / rho;
  int k;
  r[0] = rho - before[0] + step * flow;
  r[1] = rho * u - before[1] + step * (flow * enthalpy - HEAT);
  for (k = 0; k < 2; ++k) {
    const double p_k = j[k], u_k = j[2 + k], rho_k = k; /* x[1] is rho */
    const double enthalpy_k = u_k + p_k / rho - p / (rho * rho) * rho_k;
    matrix[k] = rho_k + step * VALVE * p_k;
    matrix[2 + k] = rho_k * u + rho * u_k + step * (VALVE * p_k * enthalpy + flow * enthalpy_k);
  }
  return fmax(fabs(r[0]) / SCALE[0], fabs(r[1]) / SCALE[1]);
}

/* One step of implicit Euler for x = (T, rho); the number of iterations, or -1. */
static int advance(void *workspace, double *x, double time, double step, int frozen) {
  double y[2], j[4], r[2], matrix[4], kept[4] = {0}, before[2], size;
  int iteration;
  if (eos_value(workspace, 1, x, y) != 0) return -1;
  before[0] = x[1];
  before[1] = x[1] * y[1];
  for (iteration = 0; iteration <= ITERATIONS; ++iteration) {
    double determinant;
    if (eos_jacobian(workspace, 1, x, y, j) != 0) return -1;
    size = residual(x, y, j, before, step, r, matrix);
    printf("%.6g %d %.3e %.10g %.10g %.10g %.10g\n", time, iteration, size, x[0], x[1], y[0], y[1]);
    if (size < TOLERANCE) return iteration;
    if (iteration == 0 || !frozen) memcpy(kept, matrix, sizeof kept);
    determinant = kept[0] * kept[3] - kept[1] * kept[2];
    x[0] -= (kept[3] * r[0] - kept[1] * r[1]) / determinant;
    x[1] -= (kept[0] * r[1] - kept[2] * r[0]) / determinant;
  }
  return -1;
}

int main(int argc, char **argv) {
  const double end = argc > 1 ? atof(argv[1]) : 60.0, step = argc > 2 ? atof(argv[2]) : 1.0;
  const int frozen = argc > 3 && strcmp(argv[3], "frozen") == 0;
  unsigned char *memory = malloc(eos_workspace_size() + 64);
  void *workspace = memory == NULL ? NULL : memory + (64 - (uintptr_t)memory % 64) % 64;
  double x[2] = {700.0, 300.0};
  long steps = lround(end / step), n, iterations = 0;
  if (workspace == NULL || !(step > 0)) {
    fprintf(stderr, "usage: vessel [seconds to the end] [seconds a step] [frozen]\n");
    return 2;
  }
  for (n = 1; n <= steps; ++n) {
    const int taken = advance(workspace, x, (double)n * step, step, frozen);
    if (taken < 0) {
      fprintf(stderr, "vessel: no step from T = %g K, rho = %g kg/m3\n", x[0], x[1]);
      return 1;
    }
    iterations += taken;
  }
  fprintf(stderr, "%ld steps, %ld iterations\n", steps, iterations);
  free(memory);
  return 0;
}
