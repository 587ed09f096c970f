/* One random case of products_check.c, for the type T. */

static T S(number)(void) { return (T)(below(2001) - 1000) / (T)997; }

/* Numbers for [batch, rows, columns] with these steps, NaN between them. */
static T *S(matrix)(guarded *g, int64_t batch, int64_t rows, int64_t columns, int64_t step, int64_t row, int64_t col) {
  const int some = batch > 0 && rows > 0 && columns > 0;
  const int64_t count = some ? (batch - 1) * step + (rows - 1) * row + (columns - 1) * col + 1 : 0;
  T *all = guard(g, (size_t)count * sizeof(T));
  int64_t i, r, j;
  for (i = 0; i < count; ++i) all[i] = (T)NAN;
  for (i = 0; i < batch; ++i)
    for (r = 0; r < rows; ++r)
      for (j = 0; j < columns; ++j) all[i * step + r * row + j * col] = S(number)();
  return all;
}

static T S(expected)(const product_sizes *s, const T *a, const T *b, const T *start, int64_t i, int64_t r, int64_t j) {
  T sum = start != NULL ? start[i * s->start_batch + r * s->start_row + j] : 0;
  int64_t p;
  for (p = 0; p < s->k; ++p) {
    const T left = a[i * s->a_batch + r * s->a_row + p * s->a_col];
    const T right = b[i * s->b_batch + p * s->b_row + j * s->b_col];
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    sum = MULTIPLY_ADD(left, right, sum);
#else
    volatile T both = left * right;
    sum = sum + both;
#endif
  }
  return sum;
}

/* What products.h says of a transposed B: partial sums in blocks of k, each added up by halves, one after the other. */
static T S(expected_dots)(const product_sizes *s, const T *a, const T *b, const T *start, int64_t i, int64_t r,
                          int64_t j) {
  const int64_t lanes = PRODUCT_HAS_VECTORS ? PRODUCT_VECTOR_BYTES / (int64_t)sizeof(T) : 1;
  const int deep = lanes * (int64_t)sizeof(T) == 64 && s->n * s->k * (int64_t)sizeof(T) <= 2 << 20;
  const int64_t four = 16 / (int64_t)sizeof(T), depth = (deep ? 2048 : 1024) / (int64_t)sizeof(T);
  T sum = start != NULL ? start[i * s->start_batch + r * s->start_row + j] : 0;
  int64_t first, p, half, at;
  for (first = 0; first < s->k; first += depth) {
    T part[64] = {0};
    for (p = first; p < s->k && p < first + depth; ++p) {
      const T left = a[i * s->a_batch + r * s->a_row + p * s->a_col];
      const T right = b[i * s->b_batch + p * s->b_row + j * s->b_col];
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
      part[p % lanes] = MULTIPLY_ADD(left, right, part[p % lanes]);
#else
      volatile T both = left * right;
      part[p % lanes] += both;
#endif
    }
    for (half = (lanes < four ? lanes : four) / 2; half > 0; half /= 2)
      for (at = 0; at < lanes; ++at)
        if (at % four < half) part[at] += part[at + half];
    for (half = lanes / 2; half >= four; half /= 2)
      for (at = 0; at < half; at += four) part[at] += part[at + half];
    sum = sum + part[0];
  }
  return sum;
}

static int S(same)(T x, T y) { return memcmp(&x, &y, sizeof(T)) == 0 || (x != x && y != y); }

/* How many of the elements, and of the gaps between rows, are not as they must be. */
static int S(compare)(const char *what, int dots, const product_sizes *s, const T *a, const T *b, const T *start,
                      const T *c) {
  int wrong = 0;
  int64_t i, r, j;
  for (i = 0; i < s->batch && s->n > 0; ++i)
    for (r = 0; r < s->m; ++r)
      for (j = 0; j < (r + 1 < s->m ? s->c_row : s->n); ++j) {
        const T got = c[i * s->c_batch + r * s->c_row + j];
        const T wanted = (dots ? S(expected_dots) : S(expected))(s, a, b, start, i, r, j < s->n ? j : 0);
        const int right = j < s->n ? S(same)(got, wanted) : got != got;
        if (!right && wrong++ == 0)
          printf("%s, %d bytes: m %d, n %d, k %d: batch %d, row %d, column %d\n", what, (int)sizeof(T), (int)s->m,
                 (int)s->n, (int)s->k, (int)i, (int)r, (int)j);
      }
  return wrong != 0;
}

static int S(run)(int64_t m, int64_t n, int64_t k) {
  const int transposed_a = (int)below(3) == 0, transposed_b = (int)below(2), starts = (int)below(4);
  const size_t packed_bytes = product_packed_bytes(k, n, sizeof(T));
  const size_t other_bytes = product_packed_bytes(n, k, sizeof(T));
  product_sizes s, packed_sizes, other_sizes;
  guarded memory[7];
  T *a, *b, *start, *c, *packed, *scratch, *other;
  int wrong = 0, way;
  int64_t i, r, j;
  s.batch = m * n * k > 100000 ? 1 : below(3) + (below(4) > 0), s.m = m, s.n = n, s.k = k;
  s.a_row = transposed_a ? 1 : k + below(3), s.a_col = transposed_a ? m + below(3) : 1;
  if (below(8) == 0) s.a_row = 2 * k + 1, s.a_col = 2;
  s.a_batch = m * s.a_row + k * s.a_col;
  s.b_row = transposed_b ? 1 : n + below(3), s.b_col = transposed_b ? k + below(3) : 1;
  s.b_batch = below(3) ? k * s.b_row + n * s.b_col : 0;
  s.c_row = n + below(4), s.c_batch = m * s.c_row;
  s.start_row = starts == 1 ? 0 : starts == 3 ? s.c_row : n + below(2);
  s.start_batch = starts == 3 ? s.c_batch : m * s.start_row;
  a = S(matrix)(&memory[0], s.batch, m, k, s.a_batch, s.a_row, s.a_col);
  b = S(matrix)(&memory[1], s.b_batch ? s.batch : 1, k, n, s.b_batch, s.b_row, s.b_col);
  start = S(matrix)(&memory[2], s.batch, m, n, s.start_batch, s.start_row, 1);
  c = S(matrix)(&memory[3], s.batch, m, n, s.c_batch, s.c_row, 1);
  packed = guard(&memory[4], packed_bytes * (size_t)(s.batch + 1));
  scratch = guard(&memory[5], packed_bytes);
  other = guard(&memory[6], other_bytes * (size_t)(s.batch + 1));
  if (below(4) == 0 && k > 0 && s.batch > 0 && n > 0 && m > 0) { /* each in one row or column of the result */
    a[below(m) * s.a_row + below(k) * s.a_col] = (T)INFINITY;
    b[below(k) * s.b_row + below(n) * s.b_col] = (T)NAN;
    if (k > 1) b[below(k) * s.b_row + below(n) * s.b_col] = -(T)INFINITY;
  }
  packed_sizes = s;
  packed_sizes.b_batch = s.b_batch ? (int64_t)(packed_bytes / sizeof(T)) : 0;
  packed_sizes.b_row = packed_sizes.b_col = -1; /* not read */
  other_sizes = packed_sizes;
  other_sizes.b_batch = s.b_batch ? (int64_t)(other_bytes / sizeof(T)) : 0;
  for (i = 0; i < (s.b_batch ? s.batch : 1); ++i) {
    S(check_product_pack)(k, n, b + i * s.b_batch, s.b_row, s.b_col, packed + i * packed_sizes.b_batch);
    S(check_product_pack)(n, k, b + i * s.b_batch, s.b_col, s.b_row, other + i * other_sizes.b_batch);
  }
  for (way = 0; way < 4; ++way) {
    const T *from = starts == 0 ? NULL : starts == 3 ? c : start;
    if ((way == 1 && transposed_b) || (way == 3 && s.a_col != 1)) continue;
    /* Where the product is added to C, C is start. */
    for (i = 0; i < s.batch; ++i)
      for (r = 0; r < m; ++r)
        for (j = 0; j < n; ++j)
          c[i * s.c_batch + r * s.c_row + j] = starts == 3 ? start[i * s.start_batch + r * s.start_row + j] : (T)7;
    if (way == 0) S(check_product)(&packed_sizes, a, packed, from, c);
    if (way == 1) S(check_product_rows)(&s, a, b, from, c);
    if (way == 2) S(check_product_any)(&s, a, b, from, c, scratch);
    if (way == 3) S(check_product_transposed)(&other_sizes, a, other, from, c);
    wrong += S(compare)(WAYS[way], way == 3, &s, a, b, from ? start : NULL, c);
  }
  for (i = 0; i < 7; ++i) release(&memory[i]);
  return wrong;
}
