/* The steps of the engine's own: products, convolutions, the largest of a row, sorts. A part of engine.h.
 *
 * Each takes its arguments, and numbers whose meaning stands above it; tfgradkit writes both from what the graph compiler
 * says of a library call. Convolutions as sums of products over the rows of a kernel need no matrix of patches.
 */
#ifndef TFGRADKIT_ENGINE_STEPS_H
#define TFGRADKIT_ENGINE_STEPS_H

/* A product by the target's kernels. Numbers: those of product_sizes, then how B lies. */
enum { ENGINE_PACKED, ENGINE_ROWS, ENGINE_ANY, ENGINE_TRANSPOSED };
#define ENGINE_NUM_SIZES (sizeof(product_sizes) / sizeof(int64_t))

static void engine_product_f32(const engine_products *kernels, const engine_argument *arguments, const int64_t *numbers) {
  float *c = arguments[0].data;
  const float *a = arguments[1].data, *b = arguments[2].data;
  product_sizes sizes;
  memcpy(&sizes, numbers, sizeof sizes);
  switch (numbers[ENGINE_NUM_SIZES]) {
    case ENGINE_PACKED: kernels->packed_f32(&sizes, a, b, NULL, c); break;
    case ENGINE_TRANSPOSED: kernels->transposed_f32(&sizes, a, b, NULL, c); break;
    case ENGINE_ROWS: kernels->rows_f32(&sizes, a, b, NULL, c); break;
    default: kernels->any_f32(&sizes, a, b, NULL, c, arguments[3].data);
  }
}

static void engine_product_f64(const engine_products *kernels, const engine_argument *arguments, const int64_t *numbers) {
  double *c = arguments[0].data;
  const double *a = arguments[1].data, *b = arguments[2].data;
  product_sizes sizes;
  memcpy(&sizes, numbers, sizeof sizes);
  switch (numbers[ENGINE_NUM_SIZES]) {
    case ENGINE_PACKED: kernels->packed_f64(&sizes, a, b, NULL, c); break;
    case ENGINE_TRANSPOSED: kernels->transposed_f64(&sizes, a, b, NULL, c); break;
    case ENGINE_ROWS: kernels->rows_f64(&sizes, a, b, NULL, c); break;
    default: kernels->any_f64(&sizes, a, b, NULL, c, arguments[3].data);
  }
}

/* Where the number of an image that a kernel's number meets lies along one axis: -1 where there is none. */
static int64_t engine_met(int64_t out, int64_t tap, int64_t stride, int64_t kernel_dilation, int64_t padding,
                          int64_t image_dilation, int64_t size) {
  const int64_t at = out * stride + tap * kernel_dilation - padding;
  if (at < 0 || at % image_dilation != 0 || at / image_dilation >= size) return -1;
  return at / image_dilation;
}

/* The numbers of a convolution. `channels` are those of a group, `image_channels` all; a group of filters sees its own
 * channels alone. `own_step` says that each place of the kernel is a product of its own, since the places of one row
 * don't lie side by side in the image. `block` is how many numbers a packed product's right side has. */
typedef struct {
  int64_t batch, image_rows, image_columns, image_channels;
  int64_t rows, columns, channels, filters;
  int64_t out_rows, out_columns;
  int64_t row_stride, column_stride, rows_before, columns_before;
  int64_t image_row_dilation, image_column_dilation, row_dilation, column_dilation;
  int64_t groups;
  int64_t own_step, block, wide_rows, wide_columns;
  int64_t row_step, column_step, full_rows, full_columns; /* of the result: where only a part of it is written */
} engine_convolution;

/* out[batch, rows, columns, filters] from image[batch, rows, columns, channels] and kernel[rows, columns, channels
 * of a group, filters], as the definition has it: for groups of so few filters that a product would be mostly empty. */
static void engine_convolve_directly(const engine_convolution *n, float *out, const float *image, const float *kernel) {
  const int64_t width = n->filters / n->groups;
  int64_t b, i, j, r, c, g, q, f;
  for (b = 0; b < n->batch; ++b, image += n->image_rows * n->image_columns * n->image_channels)
    for (i = 0; i < n->out_rows; ++i)
      for (j = 0; j < n->out_columns; ++j, out += n->filters) {
        for (f = 0; f < n->filters; ++f) out[f] = 0;
        for (r = 0; r < n->rows; ++r) {
          const int64_t row = engine_met(i, r, n->row_stride, n->row_dilation, n->rows_before, n->image_row_dilation,
                                         n->image_rows);
          for (c = 0; c < n->columns; ++c) {
            const int64_t column = engine_met(j, c, n->column_stride, n->column_dilation, n->columns_before,
                                              n->image_column_dilation, n->image_columns);
            const float *weights = kernel + (r * n->columns + c) * n->channels * n->filters;
            const float *seen = image + (row * n->image_columns + column) * n->image_channels;
            if (row < 0 || column < 0) continue;
            if (n->channels == 1 && width == 1) /* depthwise */
              for (f = 0; f < n->filters; ++f) out[f] += seen[f] * weights[f];
            else
              for (g = 0; g < n->groups; ++g)
                for (q = 0; q < n->channels; ++q)
                  for (f = g * width; f < (g + 1) * width; ++f)
                    out[f] += seen[g * n->channels + q] * weights[q * n->filters + f];
          }
        }
      }
}

/* One image with its padding, and with zeros between its numbers where it is dilated. */
static void engine_widen(const engine_convolution *n, float *wide, const float *image) {
  const size_t pixel = (size_t)n->image_channels * sizeof(float);
  int64_t i, j;
  memset(wide, 0, (size_t)(n->wide_rows * n->wide_columns) * pixel);
  for (i = 0; i < n->image_rows; ++i) {
    const int64_t row = i * n->image_row_dilation + n->rows_before;
    if (row < 0 || row >= n->wide_rows) continue;
    for (j = 0; j < n->image_columns; ++j) {
      const int64_t column = j * n->image_column_dilation + n->columns_before;
      if (column < 0 || column >= n->wide_columns) continue;
      memcpy(wide + (row * n->wide_columns + column) * n->image_channels,
             image + (i * n->image_columns + j) * n->image_channels, pixel);
    }
  }
}

/* A kernel that isn't packed yet: a block for each group, row and, where these are products of their own, column. */
static void engine_pack_kernel(const engine_products *kernels, const engine_convolution *n, const float *kernel,
                               float *packed) {
  const int64_t steps = n->own_step ? n->columns : 1, k = n->own_step ? n->channels : n->columns * n->channels;
  const int64_t width = n->filters / n->groups;
  int64_t g, r, c;
  for (g = 0; g < n->groups; ++g)
    for (r = 0; r < n->rows; ++r)
      for (c = 0; c < steps; ++c, packed += n->block)
        kernels->pack_f32(k, width, kernel + (r * n->columns + c) * n->channels * n->filters + g * width, n->filters, 1,
                          packed);
}

/* The same as a sum of products over the rows of the kernel: the numbers that one row of it meets lie side by side, and
 * those of the next output a stride behind, so that the image is a matrix as it lies. */
static void engine_convolve(const engine_products *kernels, const engine_convolution *n, float *out, const float *image,
                            const float *packed, float *wide) {
  const int64_t steps = n->own_step ? n->columns : 1, width = n->filters / n->groups;
  product_sizes sizes = {0};
  int64_t b, g, r, c;
  sizes.batch = n->out_rows;
  sizes.m = n->out_columns;
  sizes.n = width;
  sizes.k = n->own_step ? n->channels : n->columns * n->channels;
  sizes.a_batch = n->row_stride * n->wide_columns * n->image_channels;
  sizes.a_row = n->column_stride * n->image_channels;
  sizes.a_col = 1;
  sizes.c_batch = sizes.start_batch = n->row_step * n->full_columns * n->filters;
  sizes.c_row = sizes.start_row = n->column_step * n->filters;
  for (b = 0; b < n->batch; ++b) {
    const float *block = packed;
    if (wide != NULL) engine_widen(n, wide, image);
    if (n->rows * n->columns == 0) { /* a part that no number of the kernel meets */
      sizes.k = 0;
      sizes.n = n->filters;
      kernels->packed_f32(&sizes, image, packed, NULL, out);
    }
    for (g = 0; g < n->groups; ++g)
      for (r = 0; r < n->rows; ++r)
        for (c = 0; c < steps; ++c, block += n->block) {
          const float *a = (wide != NULL ? wide : image) + g * n->channels +
                           (r * n->row_dilation * n->wide_columns + c * n->column_dilation) * n->image_channels;
          kernels->packed_f32(&sizes, a, block, r + c == 0 ? NULL : out + g * width, out + g * width);
        }
    image += n->image_rows * n->image_columns * n->image_channels;
    out += n->full_rows * n->full_columns * n->filters;
  }
}

/* A convolution. Numbers: those of engine_convolution, then how: directly, by a packed kernel, or by one to be packed;
 * then whether there is a wide image. Arguments: out, image, kernel, then the wide image and the packed kernel. */
enum { ENGINE_DIRECTLY, ENGINE_BY_PACKED, ENGINE_BY_PACKING };

static void engine_convolution_f32(const engine_products *kernels, const engine_argument *arguments,
                                   const int64_t *numbers) {
  const int64_t *how = numbers + sizeof(engine_convolution) / sizeof(int64_t);
  const engine_argument *next = arguments + 3;
  const float *kernel = arguments[2].data;
  float *wide = how[1] ? (next++)->data : NULL;
  engine_convolution n;
  memcpy(&n, numbers, sizeof n);
  if (how[0] == ENGINE_DIRECTLY) {
    engine_convolve_directly(&n, arguments[0].data, arguments[1].data, kernel);
    return;
  }
  if (how[0] == ENGINE_BY_PACKING) {
    engine_pack_kernel(kernels, &n, kernel, next->data);
    kernel = next->data;
  }
  engine_convolve(kernels, &n, arguments[0].data, arguments[1].data, kernel, wide);
}

/* A float's place in the total order of IEEE 754, in which NaN is the largest. */
static int32_t engine_order(float value) {
  int32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits < 0 ? -(bits & INT32_MAX) - 1 : bits;
}

/* The k largest of each row and their places, equal ones in order. Numbers: rows, columns, k. */
static void engine_top_k(const float *values, float *largest, int32_t *places, const int64_t *numbers) {
  const int64_t columns = numbers[1], k = numbers[2];
  int64_t row, i, at;
  for (row = 0; row < numbers[0]; ++row, values += columns, largest += k, places += k)
    for (i = 0; i < columns; ++i) {
      const int32_t order = engine_order(values[i]);
      const int64_t found = i < k ? i : k;
      for (at = found; at > 0 && engine_order(largest[at - 1]) < order; --at)
        if (at < k) largest[at] = largest[at - 1], places[at] = places[at - 1];
      if (at < k) largest[at] = values[i], places[at] = (int32_t)i;
    }
}

/* Stable insertion sort along the middle of [outer, size, inner]; the arrays move together. The comparator gets,
 * for each array, the address of the left and of the right element. Numbers: outer, size, inner, bytes of an element
 * of each array. */
static void engine_sort(const engine_argument *arrays, uint32_t num_arrays, engine_comparator *less, const int64_t *numbers) {
  const int64_t outer = numbers[0], size = numbers[1], inner = numbers[2], *bytes = numbers + 3;
  const void *pairs[2 * ENGINE_MAX_SORTED];
  int64_t o, s, i, t;
  uint32_t a;
  for (o = 0; o < outer; ++o)
    for (i = 0; i < inner; ++i)
      for (s = 1; s < size; ++s)
        for (t = s; t > 0; --t) {
          char swap = 0;
          for (a = 0; a < num_arrays; ++a) {
            const unsigned char *upper = (const unsigned char *)arrays[a].data + ((o * size + t) * inner + i) * bytes[a];
            pairs[2 * a] = upper;
            pairs[2 * a + 1] = upper - inner * bytes[a];
          }
          less(&swap, NULL, pairs, NULL, NULL, NULL);
          if (!swap) break;
          for (a = 0; a < num_arrays; ++a) {
            unsigned char *upper = (unsigned char *)arrays[a].data + ((o * size + t) * inner + i) * bytes[a];
            unsigned char *lower = upper - inner * bytes[a];
            unsigned char kept[16];
            memcpy(kept, upper, (size_t)bytes[a]);
            memcpy(upper, lower, (size_t)bytes[a]);
            memcpy(lower, kept, (size_t)bytes[a]);
          }
        }
}

#endif
