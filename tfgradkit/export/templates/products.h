/* Matrix products for the processors of one target: C = start + A B, float and double.
 *
 * Include it without PRODUCT_PREFIX for the types and for PRODUCT_DECLARE(prefix), which declares one target's
 * functions. Include it in one file for each target with
 *   PRODUCT_PREFIX        what the functions' names begin with, for example eos_x86_64_v3_
 *   PRODUCT_VECTOR_BYTES  16, 32 or 64: the bytes of a vector register
 * for their definitions, compiled with that target's flags. PRODUCT_NO_FLOAT and
 * PRODUCT_NO_DOUBLE leave one type out.
 *
 * The packed layout is the same for all targets: panels of 128 bytes of columns (32 floats, 16 doubles), each panel
 * [k][128 bytes], the last one filled up with zeros. A target with smaller vectors goes through a panel in parts.
 *
 * Every element of C is start, then k fused multiply-adds (without FMA: products and sums) in the order of k, one
 * chain of them: what it is depends neither on the other rows and columns, nor on m, n, blocks or packing.
 *
 * With the transpose of a packed B it is another sum, which depends on the target and on the sizes k and n, but as
 * little on m and on the other rows and columns: k is cut into blocks of 1024 bytes, 8 panels (of 2048, with vectors of
 * 64 bytes, where k n numbers have at most 2 MiB). In a block, number l of a vector is the chain of those k that leave
 * l when divided by the vector's numbers. These are added up by halves, upper to lower: first within each 16 bytes,
 * then the 16 bytes. The element is start, then the blocks' sums in the order of k.
 *
 * No allocation, no state, at most 9 kB of stack. C overlaps neither A nor B; start may be C itself. Nothing but the
 * elements of the matrices is read or written, and no alignment is asked for beyond that of the numbers (64 bytes are
 * faster).
 */
#ifndef TFGRADKIT_PRODUCTS_H
#define TFGRADKIT_PRODUCTS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PRODUCT_PANEL_BYTES 128

/* C[m, n] = start + A[m, k] B[k, n], `batch` times. All steps count numbers, not bytes; none may be negative. */
typedef struct {
  int64_t batch, m, n, k;
  int64_t a_batch, a_row, a_col; /* from one matrix, row, column to the next: a transposed A has a_row = 1 */
  int64_t b_batch, b_row, b_col; /* of a packed B only b_batch is read; 0 where all share one */
  int64_t start_batch, start_row; /* a bias has start_row = 0 */
  int64_t c_batch, c_row;
} product_sizes;

/* The bytes of a packed B[k, n] whose numbers have `item` bytes. */
static inline size_t product_packed_bytes(int64_t k, int64_t n, size_t item) {
  const size_t lanes = PRODUCT_PANEL_BYTES / item;
  return ((size_t)n + lanes - 1) / lanes * PRODUCT_PANEL_BYTES * (size_t)k;
}

/* Declares a target's functions. start is NULL for zeros.
 *   product             B is packed
 *   product_transposed  B is the transpose of a packed [n, k]; A lies in rows: a_col is 1
 *   product_rows        B lies in rows: b_col is 1
 *   product_any         B has any steps; scratch has product_packed_bytes(k, n, item), aligned as a number
 *   product_pack        B[k, n] of any steps to the packed layout
 */
#define PRODUCT_DECLARE(PREFIX) PRODUCT_DECLARE_TYPE(PREFIX, f32, float) PRODUCT_DECLARE_TYPE(PREFIX, f64, double)
#define PRODUCT_DECLARE_TYPE(PREFIX, SUFFIX, T)                                                                 \
  void PREFIX##product_##SUFFIX(const product_sizes *sizes, const T *a, const T *b, const T *start, T *c);      \
  void PREFIX##product_transposed_##SUFFIX(const product_sizes *sizes, const T *a, const T *b, const T *start,  \
                                           T *c);                                                               \
  void PREFIX##product_rows_##SUFFIX(const product_sizes *sizes, const T *a, const T *b, const T *start, T *c); \
  void PREFIX##product_any_##SUFFIX(const product_sizes *sizes, const T *a, const T *b, const T *start, T *c,   \
                                    T *scratch);                                                                \
  void PREFIX##product_pack_##SUFFIX(int64_t k, int64_t n, const T *b, int64_t b_row, int64_t b_col, T *packed);

#endif

#ifdef PRODUCT_PREFIX

#define PRODUCT_JOIN_(PREFIX, NAME) PREFIX##NAME
#define PRODUCT_JOIN(PREFIX, NAME) PRODUCT_JOIN_(PREFIX, NAME)
#define PRODUCT_DECLARE_EXPANDED(PREFIX) PRODUCT_DECLARE(PREFIX)
PRODUCT_DECLARE_EXPANDED(PRODUCT_PREFIX)

#ifndef PRODUCT_NO_FLOAT
#define PRODUCT_T float
#define PRODUCT_X86(NAME) NAME##_ps
#define PRODUCT_ARM(NAME) NAME##_f32
#define PRODUCT_NAME(NAME) PRODUCT_JOIN(PRODUCT_PREFIX, NAME##_f32)
#define PRODUCT_LOCAL(NAME) product_f32_##NAME
#include "products_kernel.h"
#undef PRODUCT_T
#undef PRODUCT_X86
#undef PRODUCT_ARM
#undef PRODUCT_NAME
#undef PRODUCT_LOCAL
#endif

#ifndef PRODUCT_NO_DOUBLE
#define PRODUCT_T double
#define PRODUCT_X86(NAME) NAME##_pd
#define PRODUCT_ARM(NAME) NAME##_f64
#define PRODUCT_NAME(NAME) PRODUCT_JOIN(PRODUCT_PREFIX, NAME##_f64)
#define PRODUCT_LOCAL(NAME) product_f64_##NAME
#include "products_kernel.h"
#undef PRODUCT_T
#undef PRODUCT_X86
#undef PRODUCT_ARM
#undef PRODUCT_NAME
#undef PRODUCT_LOCAL
#endif

#endif
