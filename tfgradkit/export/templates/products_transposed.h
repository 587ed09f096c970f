/* The products with the transpose of a packed B, of one type of number; included by products_kernel.h.
 *
 * A panel of B[n, k] holds 128 bytes of each of its rows, one below the other. An element of A B^T is the dot product
 * of a row of A and a row of B, so that vectors go along k. A kernel computes R rows of A by 4 rows of B, the sums of
 * their vectors in registers, and adds up each at the end of a block of k. Blocks of k are a few panels, in which few
 * streams are read at once. Panels of a large B lie a multiple of the cache's period apart, and would push each other
 * out of it: where its rows are read often, they are copied together.
 */
#ifndef PRODUCT_DOTS
#define PRODUCT_DOTS

/* Rows of A in a full block: as many sums as there are registers for, beside a row of each side. */
#if defined(__aarch64__) || (PRODUCT_VECTOR_BYTES == 64 && PRODUCT_HAS_VECTORS)
#define PRODUCT_DOT_ROWS 6
#elif defined(__FMA__)
#define PRODUCT_DOT_ROWS 3
#else
#define PRODUCT_DOT_ROWS 2
#endif
/* Measured: panels in a block of k, and up to how many bytes of B they are twice as many; rows of A in a block; from
 * how many of them on rows of B are copied, and how many at once, so that a row of A is read from the second cache half
 * as often; and from how many bytes on B is fetched ahead. */
#define PRODUCT_DOT_PANELS 8
#define PRODUCT_DOT_BLOCK 120
#if PRODUCT_VECTOR_BYTES == 64 && PRODUCT_HAS_VECTORS /* a row of B is read for six of A: no copy is worth it */
#define PRODUCT_DOT_COPIED INT64_MAX
#define PRODUCT_DOT_DEEP (2 << 20)
#else
#define PRODUCT_DOT_COPIED 12
#define PRODUCT_DOT_DEEP 0
#endif
#define PRODUCT_DOT_COLUMNS 8
#define PRODUCT_DOT_AHEAD (1 << 20)

#if PRODUCT_HAS_VECTORS
#define PRODUCT_ALIGNED __attribute__((aligned(64)))
#define PRODUCT_PREFETCH(ADDRESS) __builtin_prefetch(ADDRESS)
#else
#define PRODUCT_ALIGNED
#define PRODUCT_PREFETCH(ADDRESS) ((void)0)
#endif

/* Adds up the numbers of four vectors, each alone, and writes the four sums: start + sum. */
#if PRODUCT_HAS_VECTORS && defined(__x86_64__)
#if PRODUCT_VECTOR_BYTES == 64 && defined(__AVX512F__)
#define PRODUCT_ADD_UP 1
#define PRODUCT_WIDE_NAME(NAME) _mm512_##NAME
#define PRODUCT_WIDE_TYPE(SUFFIX) __m512##SUFFIX
#elif PRODUCT_VECTOR_BYTES == 32 && defined(__AVX__)
#define PRODUCT_ADD_UP 1
#define PRODUCT_WIDE_NAME(NAME) _mm256_##NAME
#define PRODUCT_WIDE_TYPE(SUFFIX) __m256##SUFFIX
#elif PRODUCT_VECTOR_BYTES == 16
#define PRODUCT_ADD_UP 1
#define PRODUCT_WIDE_NAME(NAME) _mm_##NAME
#define PRODUCT_WIDE_TYPE(SUFFIX) __m128##SUFFIX
#endif
#endif
#ifndef PRODUCT_ADD_UP
#define PRODUCT_ADD_UP 0
#endif

#if PRODUCT_ADD_UP
#include <immintrin.h>
typedef PRODUCT_WIDE_TYPE() product_wide_ps;
typedef PRODUCT_WIDE_TYPE(d) product_wide_pd;
/* The upper half of each 16 bytes to the lower, of a and b side by side. */
static inline product_wide_ps product_halves_ps(product_wide_ps a, product_wide_ps b) {
  return PRODUCT_WIDE_NAME(add_ps)(PRODUCT_WIDE_NAME(unpacklo_ps)(a, b), PRODUCT_WIDE_NAME(unpackhi_ps)(a, b));
}
static inline product_wide_pd product_halves_pd(product_wide_pd a, product_wide_pd b) {
  return PRODUCT_WIDE_NAME(add_pd)(PRODUCT_WIDE_NAME(unpacklo_pd)(a, b), PRODUCT_WIDE_NAME(unpackhi_pd)(a, b));
}
#if PRODUCT_VECTOR_BYTES == 64
static inline __m256d product_fold_pd(__m512d x) {
  return _mm256_add_pd(_mm512_castpd512_pd256(x), _mm512_extractf64x4_pd(x, 1));
}
static inline __m256 product_fold_ps(__m512 x) {
  const __m256d upper = _mm512_extractf64x4_pd(_mm512_castps_pd(x), 1);
  return _mm256_add_ps(_mm512_castps512_ps256(x), _mm256_castpd_ps(upper));
}
#else
#define product_fold_pd(X) (X)
#define product_fold_ps(X) (X)
#endif

static inline void product_add_up_ps(product_wide_ps a, product_wide_ps b, product_wide_ps c, product_wide_ps d,
                                     const float *start, float *to) {
  const product_wide_ps ab = product_halves_ps(a, b), cd = product_halves_ps(c, d);
  const product_wide_ps lower = PRODUCT_WIDE_NAME(shuffle_ps)(ab, cd, 0x44);
  const product_wide_ps all = PRODUCT_WIDE_NAME(add_ps)(lower, PRODUCT_WIDE_NAME(shuffle_ps)(ab, cd, 0xee));
#if PRODUCT_VECTOR_BYTES == 16
  const __m128 sums = all;
#else
  const __m256 folded = product_fold_ps(all);
  const __m128 sums = _mm_add_ps(_mm256_castps256_ps128(folded), _mm256_extractf128_ps(folded, 1));
#endif
  _mm_storeu_ps(to, start != NULL ? _mm_add_ps(_mm_loadu_ps(start), sums) : sums);
}

static inline void product_add_up_pd(product_wide_pd a, product_wide_pd b, product_wide_pd c, product_wide_pd d,
                                     const double *start, double *to) {
#if PRODUCT_VECTOR_BYTES == 16
  const __m128d ab = product_halves_pd(a, b), cd = product_halves_pd(c, d);
  _mm_storeu_pd(to, start != NULL ? _mm_add_pd(_mm_loadu_pd(start), ab) : ab);
  _mm_storeu_pd(to + 2, start != NULL ? _mm_add_pd(_mm_loadu_pd(start + 2), cd) : cd);
#else
  const __m256d ab = product_fold_pd(product_halves_pd(a, b)), cd = product_fold_pd(product_halves_pd(c, d));
  const __m256d sums = _mm256_add_pd(_mm256_permute2f128_pd(ab, cd, 0x20), _mm256_permute2f128_pd(ab, cd, 0x31));
  _mm256_storeu_pd(to, start != NULL ? _mm256_add_pd(_mm256_loadu_pd(start), sums) : sums);
#endif
}
#endif

#define PRODUCT_COLUMNS_1(M, R) M(R, 0)
#define PRODUCT_COLUMNS_4(M, R) M(R, 0) M(R, 1) M(R, 2) M(R, 3)
#define PRODUCT_COLUMNS_8(M, R) PRODUCT_COLUMNS_4(M, R) M(R, 4) M(R, 5) M(R, 6) M(R, 7)
#define PRODUCT_DOT_ZERO_ROW(R, N) PRODUCT_COLUMNS_##N(PRODUCT_ZERO, R)
#define PRODUCT_DOT_LEFT(R, N)                                 \
  vector left_##R = *(const vector_at *)(left + R * left_row); \
  PRODUCT_KEEP(left_##R);
#define PRODUCT_DOT_RIGHT(R, N)                                           \
  vector right_##N = *(const vector_at *)(b + N * PRODUCT_PANEL_NUMBERS); \
  PRODUCT_KEEP(right_##N);
#define PRODUCT_DOT_ADD(R, N) sum_##R##_##N = multiply_vectors(left_##R, right_##N, sum_##R##_##N);
#define PRODUCT_DOT_COLUMN(R, N)         \
  {                                      \
    PRODUCT_DOT_RIGHT(R, N)              \
    PRODUCT_ROWS_##R(PRODUCT_DOT_ADD, N) \
  }
#define PRODUCT_DOT_ROW(R, N)               \
  {                                         \
    PRODUCT_DOT_LEFT(R, N)                  \
    PRODUCT_COLUMNS_##N(PRODUCT_DOT_ADD, R) \
  }
/* GCC would unroll a panel of four or eight vectors, read much of it first, and run out of 16 registers. */
#if PRODUCT_HAS_VECTORS && defined(__x86_64__) && PRODUCT_VECTOR_BYTES < 64
#define PRODUCT_NOT_UNROLLED(COUNT) __asm__("" : "+r"(COUNT))
#else
#define PRODUCT_NOT_UNROLLED(COUNT) ((void)0)
#endif
/* Of A and B, the side with fewer rows stays in registers. */
#define PRODUCT_DOT_STEP(R, N)                      \
  {                                                 \
    if (R < N) {                                    \
      PRODUCT_ROWS_##R(PRODUCT_DOT_LEFT, N)         \
      PRODUCT_COLUMNS_##N(PRODUCT_DOT_COLUMN, R)    \
    } else {                                        \
      PRODUCT_COLUMNS_##N(PRODUCT_DOT_RIGHT, R)     \
      PRODUCT_ROWS_##R(PRODUCT_DOT_ROW, N)          \
    }                                               \
  }
#define PRODUCT_DOT_STORE_ROW(R, N) PRODUCT_DOT_STORE_##N(R)
#define PRODUCT_DOT_STORE_1(R) PRODUCT_LOCAL(add_up_one)(sum_##R##_0, start, c + R * c_row, R * start_row);
#define PRODUCT_DOT_STORE_4(R) \
  PRODUCT_LOCAL(add_up)(sum_##R##_0, sum_##R##_1, sum_##R##_2, sum_##R##_3, start, c + R * c_row, R * start_row);
#define PRODUCT_DOT_STORE_8(R) \
  PRODUCT_DOT_STORE_4(R)       \
  PRODUCT_LOCAL(add_up)(sum_##R##_4, sum_##R##_5, sum_##R##_6, sum_##R##_7, start, c + R * c_row + 4, \
                        R * start_row + 4);

#define PRODUCT_DOT_KERNEL(R, N)                                                                                   \
  static PRODUCT_APART void PRODUCT_LOCAL(dots_##R##_##N)(const reach *w, const PRODUCT_T *a, const PRODUCT_T *b,  \
                                                          const PRODUCT_T *start, PRODUCT_T *c) {                  \
    const int64_t b_panel = w->b_panel - PRODUCT_PANEL_NUMBERS, start_row = w->start_row, c_row = w->c_row;        \
    const PRODUCT_T *left = a, *ahead = w->ahead;                                                                  \
    int64_t left_row = w->a_row, full = PRODUCT_PANEL_VECTORS, panels = w->vectors / full, v;                      \
    PRODUCT_NOT_UNROLLED(full);                                                                                    \
    PRODUCT_ROWS_##R(PRODUCT_DOT_ZERO_ROW, N)                                                                      \
    for (; panels > 0; --panels, b += b_panel) {                                                                   \
      if (ahead != NULL) {                                                                                         \
        for (v = 0; v < 2 * N; ++v) PRODUCT_PREFETCH(ahead + v * (64 / (int64_t)sizeof(PRODUCT_T)));               \
        if (panels > 1) ahead += w->ahead_panel;                                                                   \
      }                                                                                                            \
      for (v = 0; v < full; ++v, left += PRODUCT_LANES, b += PRODUCT_LANES)                                        \
        PRODUCT_DOT_STEP(R, N)                                                                                     \
    }                                                                                                              \
    for (v = w->vectors % PRODUCT_PANEL_VECTORS; v > 0; --v, left += PRODUCT_LANES, b += PRODUCT_LANES)            \
      PRODUCT_DOT_STEP(R, N)                                                                                       \
    if (w->rest > 0) {                                                                                             \
      PRODUCT_T rest[R * (PRODUCT_VECTOR_BYTES / sizeof(PRODUCT_T))] = {0};                                        \
      for (v = 0; v < R; ++v)                                                                                      \
        PRODUCT_LOCAL(copy)(rest + v * PRODUCT_LANES, left + v * left_row, w->rest);                               \
      left = rest, left_row = PRODUCT_LANES;                                                                       \
      PRODUCT_DOT_STEP(R, N)                                                                                       \
    }                                                                                                              \
    PRODUCT_ROWS_##R(PRODUCT_DOT_STORE_ROW, N)                                                                     \
    (void)c_row, (void)start_row, (void)left_row;                                                                  \
  }
#endif

#define reach PRODUCT_LOCAL(reach)
#define dots PRODUCT_LOCAL(dots)
#define multiply_vectors PRODUCT_LOCAL(multiply_vectors)

/* A block of k: its full vectors, the numbers behind them, and the steps. */
typedef struct {
  int64_t vectors, rest;
  int64_t a_row, b_panel, start_row, c_row;
  const PRODUCT_T *ahead; /* the rows of B that are next, to be fetched meanwhile; NULL where they have been */
  int64_t ahead_panel;    /* from one of its panels to the next; 0 where none is fetched */
} reach;
typedef void dots(const reach *w, const PRODUCT_T *a, const PRODUCT_T *b, const PRODUCT_T *start, PRODUCT_T *c);

static inline PRODUCT_INLINE vector multiply_vectors(const vector left, const vector right, const vector sum) {
#if PRODUCT_HAS_VECTORS && defined(__FMA__) && PRODUCT_VECTOR_BYTES == 64
  return PRODUCT_X86(_mm512_fmadd)(left, right, sum);
#elif PRODUCT_HAS_VECTORS && defined(__FMA__) && PRODUCT_VECTOR_BYTES == 32
  return PRODUCT_X86(_mm256_fmadd)(left, right, sum);
#elif PRODUCT_HAS_VECTORS && defined(__FMA__)
  return PRODUCT_X86(_mm_fmadd)(left, right, sum);
#elif PRODUCT_HAS_VECTORS && defined(__ARM_FEATURE_FMA)
  return PRODUCT_ARM(vfmaq)(sum, left, right);
#else
  return sum + left * right;
#endif
}

/* The numbers of a vector: the upper half of each 16 bytes to the lower half until they are one, then of these. */
static inline PRODUCT_INLINE PRODUCT_T PRODUCT_LOCAL(add_up_numbers)(const vector sum) {
  PRODUCT_T x[PRODUCT_VECTOR_BYTES / sizeof(PRODUCT_T)];
  const int64_t four = 16 / (int64_t)sizeof(PRODUCT_T);
  int64_t half, i;
  memcpy(x, &sum, sizeof sum);
  for (half = (PRODUCT_LANES < four ? PRODUCT_LANES : four) / 2; half > 0; half /= 2)
    for (i = 0; i < PRODUCT_LANES; ++i)
      if (i % four < half) x[i] += x[i + half];
  for (half = PRODUCT_LANES / 2; half >= four; half /= 2)
    for (i = 0; i < half; i += four) x[i] += x[i + half];
  return x[0];
}

static inline PRODUCT_INLINE void PRODUCT_LOCAL(add_up_one)(const vector sum, const PRODUCT_T *start, PRODUCT_T *c,
                                                            int64_t at) {
  const PRODUCT_T all = PRODUCT_LOCAL(add_up_numbers)(sum);
  *c = start != NULL ? start[at] + all : all;
}

/* The same for four vectors at once: the numbers of 4 rows of B beside each other in C. */
static inline PRODUCT_INLINE void PRODUCT_LOCAL(add_up)(const vector s0, const vector s1, const vector s2,
                                                        const vector s3, const PRODUCT_T *start, PRODUCT_T *c,
                                                        int64_t at) {
#if PRODUCT_ADD_UP
  PRODUCT_X86(product_add_up)(s0, s1, s2, s3, start != NULL ? start + at : NULL, c);
#else
  PRODUCT_LOCAL(add_up_one)(s0, start, c, at);
  PRODUCT_LOCAL(add_up_one)(s1, start, c + 1, at + 1);
  PRODUCT_LOCAL(add_up_one)(s2, start, c + 2, at + 2);
  PRODUCT_LOCAL(add_up_one)(s3, start, c + 3, at + 3);
#endif
}

PRODUCT_DOT_KERNEL(1, 1)
PRODUCT_DOT_KERNEL(2, 1)
PRODUCT_DOT_KERNEL(1, 4)
PRODUCT_DOT_KERNEL(2, 4)
PRODUCT_DOT_KERNEL(1, 8)
#if PRODUCT_DOT_ROWS > 2
PRODUCT_DOT_KERNEL(3, 1)
PRODUCT_DOT_KERNEL(3, 4)
#endif
#if PRODUCT_DOT_ROWS > 3
PRODUCT_DOT_KERNEL(4, 1)
PRODUCT_DOT_KERNEL(4, 4)
PRODUCT_DOT_KERNEL(5, 1)
PRODUCT_DOT_KERNEL(5, 4)
PRODUCT_DOT_KERNEL(6, 1)
PRODUCT_DOT_KERNEL(6, 4)
#endif

/* By the rows of B, 1, 4 or 8, and the rows of A - 1. */
static dots *const PRODUCT_LOCAL(all_dots)[3][PRODUCT_DOT_ROWS] = {
    {PRODUCT_LOCAL(dots_1_1), PRODUCT_LOCAL(dots_2_1),
#if PRODUCT_DOT_ROWS > 2
     PRODUCT_LOCAL(dots_3_1),
#endif
#if PRODUCT_DOT_ROWS > 3
     PRODUCT_LOCAL(dots_4_1), PRODUCT_LOCAL(dots_5_1), PRODUCT_LOCAL(dots_6_1),
#endif
    },
    {PRODUCT_LOCAL(dots_1_4), PRODUCT_LOCAL(dots_2_4),
#if PRODUCT_DOT_ROWS > 2
     PRODUCT_LOCAL(dots_3_4),
#endif
#if PRODUCT_DOT_ROWS > 3
     PRODUCT_LOCAL(dots_4_4), PRODUCT_LOCAL(dots_5_4), PRODUCT_LOCAL(dots_6_4),
#endif
    },
    {PRODUCT_LOCAL(dots_1_8)},
};

/* `m` rows of A by `columns` rows of B, at most 8: as few blocks as there can be, of rows as equal as they can be. */
static void PRODUCT_LOCAL(dot_rows)(reach *w, int64_t m, int64_t columns, const PRODUCT_T *a, const PRODUCT_T *b,
                                    const PRODUCT_T *start, PRODUCT_T *c) {
  int64_t blocks = (m + PRODUCT_DOT_ROWS - 1) / PRODUCT_DOT_ROWS, i, j, count;
  for (i = 0; i < m; i += count, --blocks) {
    count = (m - i + blocks - 1) / blocks;
    for (j = 0; j < columns;) {
      const int width = columns - j < 4 ? 0 : m > 1 || columns - j < 8 ? 1 : 2;
      PRODUCT_LOCAL(all_dots)
      [width][count - 1](w, a + i * w->a_row, b + j * PRODUCT_PANEL_NUMBERS,
                         start != NULL ? start + i * w->start_row + j : NULL, c + i * w->c_row + j);
      j += width == 0 ? 1 : 4 * width;
      if (w->ahead != NULL) w->ahead += 4 * PRODUCT_PANEL_NUMBERS;
    }
    w->ahead = NULL;
  }
}

/* All n rows of B, in a block of k. */
static void PRODUCT_LOCAL(dot_columns)(const reach *w, int64_t m, int64_t n, const PRODUCT_T *a, const PRODUCT_T *b,
                                       const PRODUCT_T *start, PRODUCT_T *c) {
  PRODUCT_ALIGNED PRODUCT_T copy[PRODUCT_DOT_PANELS * PRODUCT_DOT_COLUMNS * PRODUCT_PANEL_BYTES / sizeof(PRODUCT_T)];
  const int64_t panels = (w->vectors * PRODUCT_LANES + w->rest + PRODUCT_PANEL_NUMBERS - 1) / PRODUCT_PANEL_NUMBERS;
  const int copied = m >= PRODUCT_DOT_COPIED;
  const int64_t most = copied ? PRODUCT_DOT_COLUMNS : m > 1 ? 4 : 8;
  int64_t j, p, count;
  reach inner = *w;
  if (copied) inner.b_panel = PRODUCT_DOT_COLUMNS * PRODUCT_PANEL_NUMBERS;
  for (j = 0; j < n; j += count) {
    const PRODUCT_T *right = b + j * PRODUCT_PANEL_NUMBERS, *begin = start != NULL ? start + j : NULL;
    count = n - j < most ? n - j : most;
    inner.ahead = w->ahead_panel != 0 && n - j >= 2 * most ? right + most * PRODUCT_PANEL_NUMBERS : NULL;
    if (copied) {
      for (p = 0; p < panels; ++p)
        memcpy(copy + p * inner.b_panel, right + p * w->b_panel, (size_t)count * PRODUCT_PANEL_BYTES);
      right = copy;
    }
    PRODUCT_LOCAL(dot_rows)(&inner, m, count, a, right, begin, c + j);
  }
}

/* One product, its rows and k cut into blocks. */
static void PRODUCT_LOCAL(dot_blocks)(const product_sizes *s, const PRODUCT_T *a, const PRODUCT_T *b,
                                      const PRODUCT_T *start, PRODUCT_T *c) {
  const int64_t bytes = s->n * s->k * (int64_t)sizeof(PRODUCT_T);
  const int64_t depth = (bytes <= PRODUCT_DOT_DEEP ? 2 : 1) * PRODUCT_DOT_PANELS * PRODUCT_PANEL_NUMBERS;
  int64_t i, p, rows, k;
  reach w;
  w.a_row = s->a_row, w.c_row = s->c_row, w.b_panel = s->n * PRODUCT_PANEL_NUMBERS, w.ahead = NULL;
  w.ahead_panel = bytes > PRODUCT_DOT_AHEAD ? w.b_panel : 0;
  for (i = 0; i < s->m; i += rows) {
    const PRODUCT_T *begin = start != NULL ? start + i * s->start_row : NULL;
    rows = s->m - i < PRODUCT_DOT_BLOCK * 3 / 2 ? s->m - i : PRODUCT_DOT_BLOCK;
    w.start_row = s->start_row;
    p = 0;
    do {
      k = s->k - p < depth ? s->k - p : depth;
      w.vectors = k / PRODUCT_LANES, w.rest = k % PRODUCT_LANES;
      PRODUCT_LOCAL(dot_columns)(&w, rows, s->n, a + i * s->a_row + p, b + p * s->n, begin, c + i * s->c_row);
      begin = c + i * s->c_row;
      w.start_row = s->c_row;
      p += depth;
    } while (p < s->k);
  }
}

void PRODUCT_NAME(product_transposed)(const product_sizes *sizes, const PRODUCT_T *a, const PRODUCT_T *b,
                                      const PRODUCT_T *start, PRODUCT_T *c) {
  int64_t i;
  for (i = 0; i < sizes->batch; ++i)
    PRODUCT_LOCAL(dot_blocks)(sizes, a + i * sizes->a_batch, b + i * sizes->b_batch,
                              start != NULL ? start + i * sizes->start_batch : NULL, c + i * sizes->c_batch);
}

#undef reach
#undef dots
#undef multiply_vectors
