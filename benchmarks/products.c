/* products.c: our product kernels, and the times of many calls of them and of a CBLAS with 64-bit integers: of the
 * processor, not of the clock, so that what else runs on the core does not count.
 *
 * -DPRODUCT_VECTOR_BYTES=32 and the flags of the target
 */
#define _POSIX_C_SOURCE 199309L
#include <time.h>

#define PRODUCT_PREFIX timed_
#include "products.h"

enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111, TRANSPOSE = 112 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#define DEFINE_TIMES(SUFFIX, T)                                                                                       \
  typedef void SUFFIX##_gemm(int, int, int, int64_t, int64_t, int64_t, T, const T *, int64_t, const T *, int64_t, T,  \
                             T *, int64_t);                                                                           \
  typedef void SUFFIX##_gemv(int, int, int64_t, int64_t, T, const T *, int64_t, const T *, int64_t, T, T *, int64_t); \
  double ours_##SUFFIX(const product_sizes *s, const T *a, const T *packed, T *c, int64_t calls) {                    \
    const double start = now();                                                                                       \
    while (calls-- > 0) timed_product_##SUFFIX(s, a, packed, NULL, c);                                                \
    return now() - start;                                                                                             \
  }                                                                                                                   \
  double transposed_##SUFFIX(const product_sizes *s, const T *a, const T *packed, T *c, int64_t calls) {              \
    const double start = now();                                                                                       \
    while (calls-- > 0) timed_product_transposed_##SUFFIX(s, a, packed, NULL, c);                                     \
    return now() - start;                                                                                             \
  }                                                                                                                   \
  double rows_##SUFFIX(const product_sizes *s, const T *a, const T *b, T *c, int64_t calls) {                         \
    const double start = now();                                                                                       \
    while (calls-- > 0) timed_product_rows_##SUFFIX(s, a, b, NULL, c);                                                \
    return now() - start;                                                                                             \
  }                                                                                                                   \
  double gemm_##SUFFIX(SUFFIX##_gemm *gemm, const product_sizes *s, const T *a, const T *b, T *c, int64_t calls) {    \
    const double start = now();                                                                                       \
    while (calls-- > 0)                                                                                               \
      gemm(ROW_MAJOR, NO_TRANSPOSE, NO_TRANSPOSE, s->m, s->n, s->k, 1, a, s->k, b, s->n, 0, c, s->n);                 \
    return now() - start;                                                                                             \
  }                                                                                                                   \
  double gemv_##SUFFIX(SUFFIX##_gemv *gemv, const product_sizes *s, const T *a, const T *b, T *c, int64_t calls) {    \
    const double start = now();                                                                                       \
    while (calls-- > 0) gemv(ROW_MAJOR, TRANSPOSE, s->k, s->n, 1, b, s->n, a, 1, 0, c, 1);                            \
    return now() - start;                                                                                             \
  }

DEFINE_TIMES(f32, float)
DEFINE_TIMES(f64, double)
