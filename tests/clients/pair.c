/* pair.c: a library of two inputs and two outputs, written by hand, with closed forms for everything.
 *
 *   u = a0 a1 + exp(b0),  w = (a0 b1, a2 b0)      a: double[3], b: float[2], u: float, w: double[2]
 *
 * A point at an odd place of a tile of TILE points adds 2^-20 to u, so that a batch which is cut anywhere
 * else than at a multiple of TILE gives other results. `pair_busy` makes a point take longer, and
 * `pair_most_together` says how many calls were inside at a time.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define TILE 8
#define EXPORT __attribute__((visibility("default")))

static int inside, most, slowness;

EXPORT void pair_busy(int rounds) {
  slowness = rounds;
  most = 0;
}
EXPORT int pair_most_together(void) { return most; }
EXPORT int pair_abi_version(void) { return 1; }
EXPORT const char *pair_target(void) { return "any"; }
EXPORT size_t pair_workspace_size(void) { return 64; }
EXPORT const char *pair_status_text(int status) {
  return status == -1 ? "an input is NULL" : status == 1 ? "a result is not finite" : status == 2 ? "out of range" : "?";
}

static int enter(double *workspace, const double *a, const float *b) {
  const int now = __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
  if (now > most) most = now;
  workspace[0] = 0;
  return a == NULL || b == NULL || (uintptr_t)workspace % 64 != 0 ? -1 : 0;
}

static int leave(int status) {
  __atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
  return status;
}

static int values(double *workspace, int64_t i, const double *a, const float *b, float *u, double *w) {
  const float y = (float)(a[3 * i] * a[3 * i + 1]) + expf(b[2 * i]) + (i % TILE % 2 ? 1.0f / (1 << 20) : 0.0f);
  int r;
  for (r = 0; r < slowness; ++r) workspace[r % 8] += sqrt((double)r);
  if (u != NULL) u[i] = y;
  if (w != NULL) {
    w[2 * i] = a[3 * i] * b[2 * i + 1];
    w[2 * i + 1] = a[3 * i + 2] * b[2 * i];
  }
  return (isfinite(y) ? 0 : 1) | (a[3 * i] > 1000 ? 2 : 0);
}

EXPORT int pair_value(void *workspace, int64_t n, const double *a, const float *b, float *u, double *w) {
  int64_t i;
  int status = enter(workspace, a, b);
  if (status < 0) return leave(status);
  for (i = 0; i < n; ++i) status |= values(workspace, i, a, b, u, w);
  return leave(status);
}

EXPORT int pair_jacobian(void *workspace, int64_t n, const double *a, const float *b, float *u, double *w, float *d_u_d_a,
                         float *d_u_d_b, double *d_w_d_a, double *d_w_d_b) {
  int64_t i;
  int status = enter(workspace, a, b), k;
  if (status < 0) return leave(status);
  for (i = 0; i < n; ++i) {
    const double *p = a + 3 * i;
    const float *q = b + 2 * i;
    const float ua[3] = {(float)p[1], (float)p[0], 0}, ub[2] = {expf(q[0]), 0};
    const double wa[6] = {q[1], 0, 0, 0, 0, q[0]}, wb[4] = {0, p[0], p[2], 0};
    status |= values(workspace, i, a, b, u, w);
    for (k = 0; k < 3; ++k) if (d_u_d_a != NULL) d_u_d_a[3 * i + k] = ua[k];
    for (k = 0; k < 2; ++k) if (d_u_d_b != NULL) d_u_d_b[2 * i + k] = ub[k];
    for (k = 0; k < 6; ++k) if (d_w_d_a != NULL) d_w_d_a[6 * i + k] = wa[k];
    for (k = 0; k < 4; ++k) if (d_w_d_b != NULL) d_w_d_b[4 * i + k] = wb[k];
  }
  return leave(status);
}

EXPORT int pair_vjp(void *workspace, int64_t n, const double *a, const float *b, const float *output_gradients_u,
                    const double *output_gradients_w, float *u, double *w, double *vjp_a, float *vjp_b) {
  int64_t i;
  int status = enter(workspace, a, b);
  if (status < 0) return leave(status);
  for (i = 0; i < n; ++i) {
    const double *p = a + 3 * i, *g = output_gradients_w + 2 * i;
    const float *q = b + 2 * i;
    const double s = output_gradients_u[i];
    status |= values(workspace, i, a, b, u, w);
    if (vjp_a != NULL) {
      vjp_a[3 * i] = s * p[1] + g[0] * q[1];
      vjp_a[3 * i + 1] = s * p[0];
      vjp_a[3 * i + 2] = g[1] * q[0];
    }
    if (vjp_b != NULL) {
      vjp_b[2 * i] = (float)(s * exp(q[0]) + g[1] * p[2]);
      vjp_b[2 * i + 1] = (float)(g[0] * p[0]);
    }
  }
  return leave(status);
}

EXPORT int pair_jvp(void *workspace, int64_t n, const double *a, const float *b, const double *tangents_a,
                    const float *tangents_b, float *u, double *w, float *jvp_u, double *jvp_w) {
  int64_t i;
  int status = enter(workspace, a, b);
  if (status < 0) return leave(status);
  for (i = 0; i < n; ++i) {
    const double *p = a + 3 * i, *v = tangents_a + 3 * i;
    const float *q = b + 2 * i, *z = tangents_b + 2 * i;
    status |= values(workspace, i, a, b, u, w);
    if (jvp_u != NULL) jvp_u[i] = (float)(p[1] * v[0] + p[0] * v[1] + exp(q[0]) * z[0]);
    if (jvp_w != NULL) {
      jvp_w[2 * i] = q[1] * v[0] + p[0] * z[1];
      jvp_w[2 * i + 1] = q[0] * v[2] + p[2] * z[0];
    }
  }
  return leave(status);
}
