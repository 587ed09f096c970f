/* The products of one type of number; included by products.h, once for PRODUCT_T float and once for double.
 *
 * A kernel computes a block of C, R rows by V vectors, with its R V sums in registers: for each k it loads V vectors
 * of B and multiplies them by R numbers of A. A full block is what fills the registers; with fewer rows there are more
 * vectors, since a sum waits for the one before it, and about eight independent ones keep the units busy. Around the
 * kernels, blocks of rows, columns and k keep a part of a panel in the first cache, and a block of A and of C in the
 * second. Rows of A are read where they lie: with at most eight of them, packing them did not pay (measured).
 */

/* Shapes and blocks, the same for both types. */
#ifndef PRODUCT_KERNELS
#define PRODUCT_KERNELS

/* PRODUCT_PLAIN asks for the loops without vectors that other compilers get. */
#if defined(__GNUC__) && !defined(PRODUCT_PLAIN)
#define PRODUCT_HAS_VECTORS 1
#else
#define PRODUCT_HAS_VECTORS 0
#endif

/* The fused multiply-add is asked for by name: GCC leaves it out of sums like these where it tunes for processors on
 * which a chain of them is slow, and what is fused must not depend on flags. */
#if PRODUCT_HAS_VECTORS && defined(__FMA__)
#include <immintrin.h>
#elif PRODUCT_HAS_VECTORS && defined(__ARM_FEATURE_FMA)
#include <arm_neon.h>
#endif
#define PRODUCT_MULTIPLY_ADD(NAME, VECTOR, ...)                                                          \
  static inline PRODUCT_INLINE VECTOR NAME(const VECTOR right, const PRODUCT_T left, const VECTOR sum) { \
    return __VA_ARGS__;                                                                                  \
  }

/* GCC would read a vector of B again for each of two or three rows, and loads are what there is a limit of. */
#if PRODUCT_HAS_VECTORS && defined(__x86_64__)
#define PRODUCT_KEEP(VECTOR) __asm__("" : "+v"(VECTOR))
#else
#define PRODUCT_KEEP(VECTOR) ((void)0)
#endif

#if PRODUCT_HAS_VECTORS
#define PRODUCT_INLINE __attribute__((always_inline))
#define PRODUCT_APART __attribute__((noinline))
#define PRODUCT_VECTOR(T, BYTES) T __attribute__((vector_size(BYTES)))
#define PRODUCT_VECTOR_AT(T, BYTES) T __attribute__((vector_size(BYTES), aligned(sizeof(T)), may_alias))
#else /* no vectors: a vector of one number, and the compiler does what it can */
#define PRODUCT_INLINE
#define PRODUCT_APART
#define PRODUCT_VECTOR(T, BYTES) T
#define PRODUCT_VECTOR_AT(T, BYTES) T
#endif

#if PRODUCT_HAS_VECTORS && defined(__x86_64__)
#define PRODUCT_SQUARES
#include <emmintrin.h>
/* Transposes 4 x 4 floats into a panel. */
static inline void product_square_ps(const float *from, int64_t step, float *to) {
  __m128 a = _mm_loadu_ps(from), b = _mm_loadu_ps(from + step);
  __m128 c = _mm_loadu_ps(from + 2 * step), d = _mm_loadu_ps(from + 3 * step);
  _MM_TRANSPOSE4_PS(a, b, c, d);
  _mm_storeu_ps(to, a);
  _mm_storeu_ps(to + 32, b);
  _mm_storeu_ps(to + 64, c);
  _mm_storeu_ps(to + 96, d);
}
/* Transposes 2 x 2 doubles into a panel. */
static inline void product_square_pd(const double *from, int64_t step, double *to) {
  const __m128d a = _mm_loadu_pd(from), b = _mm_loadu_pd(from + step);
  _mm_storeu_pd(to, _mm_unpacklo_pd(a, b));
  _mm_storeu_pd(to + 16, _mm_unpackhi_pd(a, b));
}
#endif

/* Rows of a full block of half a vector and of 1, 2, 4 and 8: as many sums as there are registers for, and what is
 * multiplied. The widest block with more than one row is a whole panel, or half of one. Half a vector is for AVX-512
 * alone, whose full vectors take some processors twice the time. */
#if defined(__aarch64__)
#define PRODUCT_FULL {0, 8, 6, 6, 1}
#define PRODUCT_WIDEST(M) ((M) == 1 ? 4 : 3)
#define PRODUCT_NARROWEST 1
#elif PRODUCT_VECTOR_BYTES == 64 && PRODUCT_HAS_VECTORS
#define PRODUCT_FULL {8, 8, 8, 3, 1}
#define PRODUCT_WIDEST(M) ((M) == 1 ? 4 : (M) > 3 ? 2 : 3)
#define PRODUCT_NARROWEST 0
#elif defined(__FMA__)
#define PRODUCT_FULL {0, 8, 6, 3, 1}
#define PRODUCT_WIDEST(M) ((M) == 1 ? 4 : 3)
#define PRODUCT_NARROWEST 1
#else /* a product takes a register before it is added */
#define PRODUCT_FULL {0, 8, 6, 2, 1}
#define PRODUCT_WIDEST(M) ((M) == 1 ? 4 : 3)
#define PRODUCT_NARROWEST 1
#endif
#define PRODUCT_MOST_VECTORS 24 /* of a block */

/* Blocks, measured: of k, so that a panel's part has at most 64 KiB; of rows of A, 384 KiB with that k, so that B
 * passes by rarely; of columns, so that a block of C stays in the second cache from one block of k to the next. */
#ifndef PRODUCT_K_BLOCK
#define PRODUCT_K_BLOCK 512
#define PRODUCT_ROW_BLOCK_BYTES 768
#define PRODUCT_COLUMN_BLOCK_BYTES 2048
#endif
#ifndef PRODUCT_PACKING_PAYS
/* Whether packing a B that lies in rows costs less than it saves (measured): where it is too large for the second
 * cache, or has columns that do not fill a vector. */
#define PRODUCT_PACKING_PAYS(M, N, K) \
  ((M) >= 24 && ((N) * (K) * (int64_t)sizeof(PRODUCT_T) > 262144 || ((M) >= 48 && (N) % PRODUCT_LANES != 0)))
#endif
#define PRODUCT_ONCE (PRODUCT_VECTOR_BYTES == 64 ? 8 : 3) /* rows that are one block */
#define PRODUCT_EDGE_BLOCK 64 /* of k, where columns that do not fill a vector are copied */

#define PRODUCT_ROWS_1(M, V) M(0, V)
#define PRODUCT_ROWS_2(M, V) PRODUCT_ROWS_1(M, V) M(1, V)
#define PRODUCT_ROWS_3(M, V) PRODUCT_ROWS_2(M, V) M(2, V)
#define PRODUCT_ROWS_4(M, V) PRODUCT_ROWS_3(M, V) M(3, V)
#define PRODUCT_ROWS_5(M, V) PRODUCT_ROWS_4(M, V) M(4, V)
#define PRODUCT_ROWS_6(M, V) PRODUCT_ROWS_5(M, V) M(5, V)
#define PRODUCT_ROWS_7(M, V) PRODUCT_ROWS_6(M, V) M(6, V)
#define PRODUCT_ROWS_8(M, V) PRODUCT_ROWS_7(M, V) M(7, V)
#define PRODUCT_VECTORS_1(M, R) M(R, 0)
#define PRODUCT_VECTORS_2(M, R) PRODUCT_VECTORS_1(M, R) M(R, 1)
#define PRODUCT_VECTORS_4(M, R) PRODUCT_VECTORS_2(M, R) M(R, 2) M(R, 3)
#define PRODUCT_VECTORS_8(M, R) PRODUCT_VECTORS_4(M, R) M(R, 4) M(R, 5) M(R, 6) M(R, 7)

#define PRODUCT_ZERO(R, V) vector sum_##R##_##V = {0};
#define PRODUCT_START(R, V) sum_##R##_##V = *(const vector_at *)(start + R * start_row + V * PRODUCT_LANES);
#define PRODUCT_AT(V) (b + V / PRODUCT_PANEL_VECTORS * b_panel + V % PRODUCT_PANEL_VECTORS * PRODUCT_LANES)
#define PRODUCT_LEFT(R, V) const PRODUCT_T left_##R = a[R * a_row];
#define PRODUCT_RIGHT(R, V) vector right_##V = *(const vector_at *)PRODUCT_AT(V);
#define PRODUCT_ADD(R, V) sum_##R##_##V = multiply_add(right_##V, left_##R, sum_##R##_##V);
#define PRODUCT_STORE(R, V) *(vector_at *)(c + R * c_row + V * PRODUCT_LANES) = sum_##R##_##V;
#define PRODUCT_ZERO_ROW(R, V) PRODUCT_VECTORS_##V(PRODUCT_ZERO, R)
#define PRODUCT_START_ROW(R, V) PRODUCT_VECTORS_##V(PRODUCT_START, R)
#define PRODUCT_STORE_ROW(R, V) PRODUCT_VECTORS_##V(PRODUCT_STORE, R)
/* Whichever are fewer, numbers of A or vectors of B, stay in registers while the others pass: the vectors with tall
 * blocks, the numbers with wide ones, of one row or of few. */
#define PRODUCT_ADD_ROW(R, V)           \
  {                                     \
    PRODUCT_LEFT(R, V)                  \
    PRODUCT_VECTORS_##V(PRODUCT_ADD, R) \
  }
#define PRODUCT_ADD_VECTOR(R, V)     \
  {                                  \
    PRODUCT_RIGHT(R, V)              \
    PRODUCT_ROWS_##R(PRODUCT_ADD, V) \
  }
#define PRODUCT_ADD_KEPT(R, V)       \
  {                                  \
    PRODUCT_RIGHT(R, V)              \
    PRODUCT_KEEP(right_##V);         \
    PRODUCT_ROWS_##R(PRODUCT_ADD, V) \
  }
#define PRODUCT_TALL(R, V)              \
  PRODUCT_VECTORS_##V(PRODUCT_RIGHT, 0) \
  PRODUCT_ROWS_##R(PRODUCT_ADD_ROW, V)
#define PRODUCT_WIDE(R, V)          \
  PRODUCT_ROWS_##R(PRODUCT_LEFT, V) \
  PRODUCT_VECTORS_##V(PRODUCT_ADD_VECTOR, R)
#define PRODUCT_FEW(R, V)           \
  PRODUCT_ROWS_##R(PRODUCT_LEFT, V) \
  PRODUCT_VECTORS_##V(PRODUCT_ADD_KEPT, R)
#define PRODUCT_NUMBERS_OF(VECTOR) ((int64_t)(sizeof(VECTOR) / sizeof(PRODUCT_T)))
#define PRODUCT_LANES PRODUCT_NUMBERS_OF(vector)
#define PRODUCT_PANEL_VECTORS (PRODUCT_PANEL_NUMBERS / PRODUCT_LANES)
#define PRODUCT_PANEL_NUMBERS ((int64_t)(PRODUCT_PANEL_BYTES / sizeof(PRODUCT_T)))

#define PRODUCT_KERNEL(NAME, R, V, ORDER)                                                                    \
  static PRODUCT_APART void PRODUCT_LOCAL(NAME##_##R)(const walk *w, const PRODUCT_T *a, const PRODUCT_T *b, \
                                                      const PRODUCT_T *start, PRODUCT_T *c) {                \
    const int64_t a_row = w->a_row, a_col = w->a_col, b_row = w->b_row, b_panel = w->b_panel;                \
    const int64_t start_row = w->start_row, c_row = w->c_row;                                                \
    int64_t left = w->k;                                                                                     \
    PRODUCT_ROWS_##R(PRODUCT_ZERO_ROW, V)                                                                    \
    if (start != NULL) {                                                                                     \
      PRODUCT_ROWS_##R(PRODUCT_START_ROW, V)                                                                 \
    }                                                                                                        \
    for (; left > 0; --left) {                                                                               \
      ORDER(R, V)                                                                                            \
      a += a_col;                                                                                            \
      b += b_row;                                                                                            \
    }                                                                                                        \
    PRODUCT_ROWS_##R(PRODUCT_STORE_ROW, V)                                                                   \
    (void)a_row, (void)b_panel, (void)start_row, (void)c_row;                                                \
  }

#endif

#define vector PRODUCT_LOCAL(vector)
#define vector_at PRODUCT_LOCAL(vector_at)
#define walk PRODUCT_LOCAL(walk)
#define kernel PRODUCT_LOCAL(kernel)

/* A block of a product: its sizes, and the steps between its numbers. */
typedef struct {
  int64_t k, n;
  int64_t readable; /* columns of B that can be read: with a packed B some more than n */
  int64_t a_row, a_col, b_row, b_panel, start_row, c_row;
} walk;
typedef PRODUCT_VECTOR(PRODUCT_T, PRODUCT_VECTOR_BYTES) vector;
typedef PRODUCT_VECTOR_AT(PRODUCT_T, PRODUCT_VECTOR_BYTES) vector_at;
#define multiply_add PRODUCT_LOCAL(multiply_add)
#if PRODUCT_HAS_VECTORS && defined(__FMA__) && PRODUCT_VECTOR_BYTES == 64
PRODUCT_MULTIPLY_ADD(multiply_add, vector, PRODUCT_X86(_mm512_fmadd)(right, PRODUCT_X86(_mm512_set1)(left), sum))
#elif PRODUCT_HAS_VECTORS && defined(__FMA__) && PRODUCT_VECTOR_BYTES == 32
PRODUCT_MULTIPLY_ADD(multiply_add, vector, PRODUCT_X86(_mm256_fmadd)(right, PRODUCT_X86(_mm256_set1)(left), sum))
#elif PRODUCT_HAS_VECTORS && defined(__FMA__)
PRODUCT_MULTIPLY_ADD(multiply_add, vector, PRODUCT_X86(_mm_fmadd)(right, PRODUCT_X86(_mm_set1)(left), sum))
#elif PRODUCT_HAS_VECTORS && defined(__ARM_FEATURE_FMA)
PRODUCT_MULTIPLY_ADD(multiply_add, vector, PRODUCT_ARM(vfmaq_n)(sum, right, left))
#else
PRODUCT_MULTIPLY_ADD(multiply_add, vector, sum + right * left)
#endif
typedef void kernel(const walk *w, const PRODUCT_T *a, const PRODUCT_T *b, const PRODUCT_T *start, PRODUCT_T *c);

PRODUCT_KERNEL(one, 1, 1, PRODUCT_TALL)
PRODUCT_KERNEL(one, 2, 1, PRODUCT_TALL)
PRODUCT_KERNEL(one, 3, 1, PRODUCT_TALL)
PRODUCT_KERNEL(one, 4, 1, PRODUCT_TALL)
PRODUCT_KERNEL(one, 5, 1, PRODUCT_TALL)
PRODUCT_KERNEL(one, 6, 1, PRODUCT_TALL)
PRODUCT_KERNEL(one, 7, 1, PRODUCT_TALL)
PRODUCT_KERNEL(one, 8, 1, PRODUCT_TALL)
PRODUCT_KERNEL(two, 1, 2, PRODUCT_WIDE)
PRODUCT_KERNEL(two, 2, 2, PRODUCT_TALL)
PRODUCT_KERNEL(two, 3, 2, PRODUCT_TALL)
PRODUCT_KERNEL(two, 4, 2, PRODUCT_TALL)
PRODUCT_KERNEL(two, 5, 2, PRODUCT_TALL)
PRODUCT_KERNEL(two, 6, 2, PRODUCT_TALL)
PRODUCT_KERNEL(four, 1, 4, PRODUCT_WIDE)
PRODUCT_KERNEL(four, 2, 4, PRODUCT_FEW)
PRODUCT_KERNEL(four, 3, 4, PRODUCT_FEW)
PRODUCT_KERNEL(eight, 1, 8, PRODUCT_WIDE)
#if defined(__aarch64__)
PRODUCT_KERNEL(four, 4, 4, PRODUCT_TALL)
PRODUCT_KERNEL(four, 5, 4, PRODUCT_TALL)
PRODUCT_KERNEL(four, 6, 4, PRODUCT_TALL)
#endif
#if PRODUCT_NARROWEST == 0
PRODUCT_KERNEL(two, 7, 2, PRODUCT_TALL)
PRODUCT_KERNEL(two, 8, 2, PRODUCT_TALL)
#undef vector
#undef vector_at
#define vector PRODUCT_LOCAL(half)
#define vector_at PRODUCT_LOCAL(half_at)
typedef PRODUCT_VECTOR(PRODUCT_T, PRODUCT_VECTOR_BYTES / 2) vector;
typedef PRODUCT_VECTOR_AT(PRODUCT_T, PRODUCT_VECTOR_BYTES / 2) vector_at;
#undef multiply_add
#define multiply_add PRODUCT_LOCAL(half_multiply_add)
#ifdef __FMA__
PRODUCT_MULTIPLY_ADD(multiply_add, vector, PRODUCT_X86(_mm256_fmadd)(right, PRODUCT_X86(_mm256_set1)(left), sum))
#else
PRODUCT_MULTIPLY_ADD(multiply_add, vector, sum + right * left)
#endif
PRODUCT_KERNEL(half, 1, 1, PRODUCT_TALL)
PRODUCT_KERNEL(half, 2, 1, PRODUCT_TALL)
PRODUCT_KERNEL(half, 3, 1, PRODUCT_TALL)
PRODUCT_KERNEL(half, 4, 1, PRODUCT_TALL)
PRODUCT_KERNEL(half, 5, 1, PRODUCT_TALL)
PRODUCT_KERNEL(half, 6, 1, PRODUCT_TALL)
PRODUCT_KERNEL(half, 7, 1, PRODUCT_TALL)
PRODUCT_KERNEL(half, 8, 1, PRODUCT_TALL)
#undef vector
#undef vector_at
#define vector PRODUCT_LOCAL(vector)
#define vector_at PRODUCT_LOCAL(vector_at)
#endif
#undef multiply_add

/* By the width of the block, and rows - 1. */
static kernel *const PRODUCT_LOCAL(kernels)[5][8] = {
#if PRODUCT_NARROWEST == 0
    {PRODUCT_LOCAL(half_1), PRODUCT_LOCAL(half_2), PRODUCT_LOCAL(half_3), PRODUCT_LOCAL(half_4),
     PRODUCT_LOCAL(half_5), PRODUCT_LOCAL(half_6), PRODUCT_LOCAL(half_7), PRODUCT_LOCAL(half_8)},
#else
    {NULL},
#endif
    {PRODUCT_LOCAL(one_1), PRODUCT_LOCAL(one_2), PRODUCT_LOCAL(one_3), PRODUCT_LOCAL(one_4),
     PRODUCT_LOCAL(one_5), PRODUCT_LOCAL(one_6), PRODUCT_LOCAL(one_7), PRODUCT_LOCAL(one_8)},
    {PRODUCT_LOCAL(two_1), PRODUCT_LOCAL(two_2), PRODUCT_LOCAL(two_3), PRODUCT_LOCAL(two_4), PRODUCT_LOCAL(two_5),
     PRODUCT_LOCAL(two_6),
#if PRODUCT_NARROWEST == 0
     PRODUCT_LOCAL(two_7), PRODUCT_LOCAL(two_8),
#endif
    },
    {PRODUCT_LOCAL(four_1), PRODUCT_LOCAL(four_2), PRODUCT_LOCAL(four_3),
#if defined(__aarch64__)
     PRODUCT_LOCAL(four_4), PRODUCT_LOCAL(four_5), PRODUCT_LOCAL(four_6),
#endif
    },
    {PRODUCT_LOCAL(eight_1)},
};

/* memcpy of few bytes, a multiple of 4, in pieces of constant size. */
static void PRODUCT_LOCAL(copy)(PRODUCT_T *to, const PRODUCT_T *from, int64_t numbers) {
  unsigned char *t = (unsigned char *)to;
  const unsigned char *f = (const unsigned char *)from;
  const size_t bytes = (size_t)numbers * sizeof(PRODUCT_T);
  size_t done;
  for (done = 0; done + 32 <= bytes; done += 32) memcpy(t + done, f + done, 32);
  if (bytes & 16) memcpy(t + done, f + done, 16), done += 16;
  if (bytes & 8) memcpy(t + done, f + done, 8), done += 8;
  if (bytes & 4) memcpy(t + done, f + done, 4);
}

/* A block whose vectors go beyond the columns of C: by way of a tile. */
static void PRODUCT_LOCAL(partly)(const walk *w, kernel *compute, int64_t rows, int64_t columns, int64_t wide,
                                  const PRODUCT_T *a, const PRODUCT_T *b, const PRODUCT_T *start, PRODUCT_T *c) {
  PRODUCT_T tile[PRODUCT_MOST_VECTORS * (PRODUCT_VECTOR_BYTES / sizeof(PRODUCT_T))];
  walk inner = *w;
  int64_t r;
  inner.start_row = inner.c_row = wide;
  if (start != NULL) {
    memset(tile, 0, (size_t)(rows * wide) * sizeof(PRODUCT_T));
    for (r = 0; r < rows; ++r) PRODUCT_LOCAL(copy)(tile + r * wide, start + r * w->start_row, columns);
  }
  compute(&inner, a, b, start != NULL ? tile : NULL, tile);
  for (r = 0; r < rows; ++r) PRODUCT_LOCAL(copy)(c + r * w->c_row, tile + r * wide, columns);
}

/* `m` rows, all columns: a part of a panel is read by all blocks of rows before the next one. Returns the first column
 * that is left, because its vector can't be read; n where there is none. */
static int64_t PRODUCT_LOCAL(rows)(const walk *w, int64_t m, const PRODUCT_T *a, const PRODUCT_T *b,
                                   const PRODUCT_T *start, PRODUCT_T *c) {
  static const int64_t full[] = PRODUCT_FULL;
  int width = PRODUCT_WIDEST(m);
  int64_t wide = (PRODUCT_LANES << width) / 2, i, j, count;
  for (j = 0; j < w->n; j += wide) {
    const PRODUCT_T *right = b + j / PRODUCT_PANEL_NUMBERS * w->b_panel + j % PRODUCT_PANEL_NUMBERS;
    /* The narrowest that takes all that is left, if there is one and it can be read. */
    while (width > PRODUCT_NARROWEST && (2 * (w->n - j) <= wide || j + wide > w->readable)) --width, wide /= 2;
    if (j + wide > w->readable) return j;
    for (i = 0; i < m; i += count) {
      const PRODUCT_T *left = a + i * w->a_row, *begin = start != NULL ? start + i * w->start_row + j : NULL;
      PRODUCT_T *end = c + i * w->c_row + j;
      kernel *compute;
      count = m - i < full[width] ? m - i : full[width];
      if (count == 3 && m - i == 4 && full[width] == 3) count = 2; /* and 2: rather than 3 and 1 */
      compute = PRODUCT_LOCAL(kernels)[width][count - 1];
      if (j + wide <= w->n)
        compute(w, left, right, begin, end);
      else
        PRODUCT_LOCAL(partly)(w, compute, count, w->n - j, wide, left, right, begin, end);
    }
  }
  return w->n;
}

/* The last columns of a B in rows, fewer than a vector has: copied, and filled up with zeros. */
static void PRODUCT_LOCAL(edge)(const walk *w, int64_t m, const PRODUCT_T *a, const PRODUCT_T *b,
                                const PRODUCT_T *start, PRODUCT_T *c) {
  PRODUCT_T copy[PRODUCT_EDGE_BLOCK * (PRODUCT_VECTOR_BYTES / sizeof(PRODUCT_T))];
  walk inner = *w;
  int64_t first = 0, p, j;
  inner.readable = inner.b_row = PRODUCT_LANES;
  do {
    inner.k = w->k - first < PRODUCT_EDGE_BLOCK ? w->k - first : PRODUCT_EDGE_BLOCK;
    for (p = 0; p < inner.k; ++p)
      for (j = 0; j < PRODUCT_LANES; ++j)
        copy[p * PRODUCT_LANES + j] = j < w->n ? b[(first + p) * w->b_row + j] : 0;
    PRODUCT_LOCAL(rows)(&inner, m, a + first * w->a_col, copy, start, c);
    start = c;
    inner.start_row = w->c_row;
    first += PRODUCT_EDGE_BLOCK;
  } while (first < w->k);
}

/* One product, its rows, columns and k cut into blocks. */
static void PRODUCT_LOCAL(blocked)(const walk *whole, int64_t m, const PRODUCT_T *a, const PRODUCT_T *b,
                                   const PRODUCT_T *start, PRODUCT_T *c) {
  const int64_t columns = PRODUCT_COLUMN_BLOCK_BYTES / (int64_t)sizeof(PRODUCT_T);
  const int64_t most = PRODUCT_ROW_BLOCK_BYTES / (int64_t)sizeof(PRODUCT_T);
  /* Few rows use a panel once: nothing is gained by keeping it. */
  const int64_t depth = m > PRODUCT_ONCE && whole->k > PRODUCT_K_BLOCK ? PRODUCT_K_BLOCK : whole->k;
  int64_t i, j, p, rows;
  for (i = 0; i < m; i += rows) {
    rows = m - i < most * 3 / 2 ? m - i : most; /* no small block at the end */
    for (j = 0; j < whole->n; j += columns) {
      walk w = *whole;
      const PRODUCT_T *begin = start != NULL ? start + i * w.start_row + j : NULL;
      PRODUCT_T *end = c + i * w.c_row + j;
      w.n = whole->n - j < columns ? whole->n - j : columns;
      w.readable = whole->readable - j < columns ? whole->readable - j : columns;
      p = 0;
      do {
        const PRODUCT_T *left = a + i * w.a_row + p * w.a_col;
        const PRODUCT_T *right = b + j / PRODUCT_PANEL_NUMBERS * w.b_panel + p * w.b_row;
        int64_t done;
        w.k = whole->k - p < depth ? whole->k - p : depth;
        done = PRODUCT_LOCAL(rows)(&w, rows, left, right, begin, end);
        if (done < w.n) {
          walk rest = w;
          rest.n = w.n - done;
          PRODUCT_LOCAL(edge)(&rest, rows, left, right + done, begin != NULL ? begin + done : NULL, end + done);
        }
        begin = end;
        w.start_row = w.c_row;
        p += depth;
      } while (p < whole->k);
    }
  }
}

/* The steps of a product whose B lies in rows. */
static walk PRODUCT_LOCAL(walk_of)(const product_sizes *s) {
  walk w;
  w.k = s->k;
  w.n = s->n;
  w.readable = s->n;
  w.a_row = s->a_row;
  w.a_col = s->a_col;
  w.b_row = s->b_row;
  w.b_panel = PRODUCT_PANEL_NUMBERS;
  w.start_row = s->start_row;
  w.c_row = s->c_row;
  return w;
}

/* The steps of a packed B. */
static void PRODUCT_LOCAL(packed_walk)(walk *w) {
  w->readable = (w->n + PRODUCT_PANEL_NUMBERS - 1) / PRODUCT_PANEL_NUMBERS * PRODUCT_PANEL_NUMBERS;
  w->b_row = PRODUCT_PANEL_NUMBERS;
  w->b_panel = w->k * PRODUCT_PANEL_NUMBERS;
}

void PRODUCT_NAME(product)(const product_sizes *sizes, const PRODUCT_T *a, const PRODUCT_T *b, const PRODUCT_T *start,
                           PRODUCT_T *c) {
  walk w = PRODUCT_LOCAL(walk_of)(sizes);
  int64_t i;
  PRODUCT_LOCAL(packed_walk)(&w);
  for (i = 0; i < sizes->batch; ++i)
    PRODUCT_LOCAL(blocked)(&w, sizes->m, a + i * sizes->a_batch, b + i * sizes->b_batch,
                           start != NULL ? start + i * sizes->start_batch : NULL, c + i * sizes->c_batch);
}

void PRODUCT_NAME(product_rows)(const product_sizes *sizes, const PRODUCT_T *a, const PRODUCT_T *b,
                                const PRODUCT_T *start, PRODUCT_T *c) {
  const walk w = PRODUCT_LOCAL(walk_of)(sizes);
  int64_t i;
  for (i = 0; i < sizes->batch; ++i)
    PRODUCT_LOCAL(blocked)(&w, sizes->m, a + i * sizes->a_batch, b + i * sizes->b_batch,
                           start != NULL ? start + i * sizes->start_batch : NULL, c + i * sizes->c_batch);
}

/* Columns of a panel, of k rows: a cache line of each at a time, should its numbers lie together. */
static void PRODUCT_LOCAL(pack_columns)(int64_t k, int64_t columns, const PRODUCT_T *b, int64_t b_row, int64_t b_col,
                                        PRODUCT_T *panel) {
  const int64_t line = 64 / (int64_t)sizeof(PRODUCT_T);
  int64_t p, j, q;
  for (p = 0; p < k; p += line) {
    const int64_t rows = k - p < line ? k - p : line;
    j = 0;
#ifdef PRODUCT_SQUARES
    if (b_row == 1 && rows == line)
      for (; j + line / 4 <= columns; j += line / 4)
        for (q = 0; q < line; q += line / 4)
          PRODUCT_X86(product_square)(b + p + q + j * b_col, b_col, panel + (p + q) * PRODUCT_PANEL_NUMBERS + j);
#endif
    for (; j < columns; ++j)
      for (q = 0; q < rows; ++q) panel[(p + q) * PRODUCT_PANEL_NUMBERS + j] = b[(p + q) * b_row + j * b_col];
  }
}

void PRODUCT_NAME(product_pack)(int64_t k, int64_t n, const PRODUCT_T *b, int64_t b_row, int64_t b_col,
                                PRODUCT_T *packed) {
  int64_t first, p;
  for (first = 0; first < n; first += PRODUCT_PANEL_NUMBERS, packed += k * PRODUCT_PANEL_NUMBERS) {
    const int64_t columns = n - first < PRODUCT_PANEL_NUMBERS ? n - first : PRODUCT_PANEL_NUMBERS;
    const PRODUCT_T *from = b + first * b_col;
    if (columns < PRODUCT_PANEL_NUMBERS) memset(packed, 0, (size_t)k * PRODUCT_PANEL_BYTES);
    if (b_col != 1)
      PRODUCT_LOCAL(pack_columns)(k, columns, from, b_row, b_col, packed);
    else if (columns < PRODUCT_PANEL_NUMBERS)
      for (p = 0; p < k; ++p) PRODUCT_LOCAL(copy)(packed + p * PRODUCT_PANEL_NUMBERS, from + p * b_row, columns);
    else
      for (p = 0; p < k; ++p) memcpy(packed + p * PRODUCT_PANEL_NUMBERS, from + p * b_row, PRODUCT_PANEL_BYTES);
  }
}

void PRODUCT_NAME(product_any)(const product_sizes *sizes, const PRODUCT_T *a, const PRODUCT_T *b,
                               const PRODUCT_T *start, PRODUCT_T *c, PRODUCT_T *scratch) {
  product_sizes one = *sizes;
  int64_t i;
  if (sizes->b_col == 1 && !PRODUCT_PACKING_PAYS(sizes->m, sizes->n, sizes->k)) {
    PRODUCT_NAME(product_rows)(sizes, a, b, start, c);
    return;
  }
  one.batch = 1;
  for (i = 0; i < sizes->batch; ++i) {
    if (i == 0 || sizes->b_batch != 0)
      PRODUCT_NAME(product_pack)(sizes->k, sizes->n, b + i * sizes->b_batch, sizes->b_row, sizes->b_col, scratch);
    PRODUCT_NAME(product)(&one, a + i * sizes->a_batch, scratch, start != NULL ? start + i * sizes->start_batch : NULL,
                          c + i * sizes->c_batch);
  }
}

#include "products_transposed.h"

#undef vector
#undef vector_at
#undef walk
#undef kernel
