/* Checks templates/products.h to the last bit, with unreadable pages around every matrix.
 *
 *     products_check SEED CASES
 *
 * Every element is compared with one chain of multiply-adds in the order of k, which is what products.h promises, or
 * with the sums that it promises where B is transposed. What
 * lies between the rows of A, B and start is NaN, so that reading it shows; what lies between the rows of C must stay.
 * Each matrix begins behind an unreadable page, or ends in front of one.
 */
#define _DEFAULT_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PRODUCT_PREFIX check_
#include "products.h"

static uint64_t state;
static int64_t below(int64_t n) { /* Knuth's MMIX generator */
  state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (int64_t)((state >> 33) % (uint64_t)n);
}
static int64_t pick(const int64_t *numbers, int64_t count) { return numbers[below(count)]; }

static const int64_t ROWS[] = {0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 25, 40, 97, 150};
static const int64_t COLUMNS[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 47, 63, 64, 65, 100, 129};
static const int64_t DEPTHS[] = {0, 1, 2, 3, 7, 8, 17, 63, 64, 65, 70};
#define PICK(NUMBERS) pick(NUMBERS, (int64_t)(sizeof(NUMBERS) / sizeof(NUMBERS[0])))

static const char *const WAYS[] = {"packed", "rows", "any", "transposed"};

typedef struct { unsigned char *map; size_t length; } guarded;

/* Memory of that many bytes, flush with an unreadable page on one side. */
static void *guard(guarded *g, size_t bytes) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE), inside = (bytes + page - 1) / page * page;
  g->length = inside + 2 * page;
  g->map = mmap(NULL, g->length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (g->map == MAP_FAILED) exit(3);
  mprotect(g->map, page, PROT_NONE);
  mprotect(g->map + page + inside, page, PROT_NONE);
  return below(2) ? g->map + page : g->map + page + inside - bytes;
}
static void release(guarded *g) { munmap(g->map, g->length); }

#define T float
#define S(NAME) NAME##_f32
#define MULTIPLY_ADD fmaf
#include "products_check_case.h"
#undef T
#undef S
#undef MULTIPLY_ADD
#define T double
#define S(NAME) NAME##_f64
#define MULTIPLY_ADD fma
#include "products_check_case.h"

int main(int argc, char **argv) {
  /* Beyond the blocks of rows, columns and k. */
  static const int64_t large[][3] = {{150, 70, 530}, {2, 33, 1100}, {1, 700, 40},
                                     {7, 1030, 9},   {400, 5, 3},   {20, 600, 520},
                                     {5, 900, 610}};
  int64_t i, cases = argc > 2 ? atoll(argv[2]) : 100;
  int wrong = 0;
  state = argc > 1 ? (uint64_t)atoll(argv[1]) : 1;
  for (i = 0; i < cases; ++i) {
    const int64_t m = PICK(ROWS), n = PICK(COLUMNS), k = PICK(DEPTHS);
    wrong += run_f32(m, n, k) + run_f64(m, n, k);
  }
  for (i = 0; i < 7; ++i) {
    const int64_t m = large[i][0], n = large[i][1], k = large[i][2];
    wrong += run_f32(m, n, k) + run_f64(m, n, k);
  }
  printf("%d wrong\n", wrong);
  return wrong != 0;
}
