/* The engine of a library that tfgradkit exported: runs a compiled program over n points.
 *
 * A program is a table: the steps that the graph compiler listed (kernels and a few library
 * calls), and the slices of numbered buffers they work on. The kernels are plain C functions
 * with the calling convention of XLA's CPU backend, laid out below as in
 * xla/backends/cpu/runtime/kernel_c_api.h of the TensorFlow that compiled them; both are in
 * this library, so no later TensorFlow can disagree.
 *
 * No allocation, no I/O, no mutable state, no change of the floating-point environment:
 * all functions are reentrant, with one workspace a thread.
 */
#ifndef TFGRADKIT_ENGINE_H
#define TFGRADKIT_ENGINE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "products.h"

#define ENGINE_ALIGNMENT 64
#define ENGINE_MAX_SORTED 4

/* What the kernels are called with. */
typedef struct { uint64_t x, y, z; } engine_dim3;
typedef struct { void *data; size_t size; } engine_argument;
typedef struct {
  const engine_dim3 *num_workgroups;
  const engine_dim3 *workgroup_id;
  size_t num_args;
  const engine_argument *args;
} engine_frame;
typedef void *engine_kernel(const engine_frame *frame); /* NULL is success */
typedef void engine_comparator(char *result, const void *run_options, const void **params,
                               const void *buffers, const void *status, const void *counters);

/* Steps and what they work on. */
typedef struct { uint32_t buffer; uint64_t offset, size; } engine_slice;

enum {
  ENGINE_KERNEL,
  ENGINE_COPY,
  ENGINE_PRODUCT_F32,
  ENGINE_PRODUCT_F64,
  ENGINE_CONVOLUTION_F32,
  ENGINE_SORT,
  ENGINE_TOP_K,
  ENGINE_WHILE,
  ENGINE_FOR,
  ENGINE_BRANCH
};

typedef struct {
  int op;
  engine_kernel *kernel;
  engine_comparator *comparator;
  uint32_t first_slice, num_slices;
  engine_dim3 groups;    /* of a kernel */
  uint32_t first_number; /* what the numbers are, the function of each step says */
  uint32_t inside;       /* of a loop or branch: how many of the steps behind it are inside it */
} engine_step;

enum { ENGINE_CONSTANT, ENGINE_TEMPORARY, ENGINE_INPUT, ENGINE_OUTPUT };

typedef struct {
  int kind;
  const void *constant;   /* of a constant */
  uint64_t place;         /* of the others: offset in the workspace; inputs and outputs are staged there */
  uint32_t port;          /* of inputs and outputs: position among the caller's pointers */
  uint64_t point_bytes;   /* of inputs and outputs: bytes of one point */
} engine_buffer;

/* The product kernels of a target; NULL for a dtype that no program of the library multiplies. */
typedef struct {
  void (*packed_f32)(const product_sizes *, const float *, const float *, const float *, float *);
  void (*transposed_f32)(const product_sizes *, const float *, const float *, const float *, float *);
  void (*rows_f32)(const product_sizes *, const float *, const float *, const float *, float *);
  void (*any_f32)(const product_sizes *, const float *, const float *, const float *, float *, float *);
  void (*pack_f32)(int64_t, int64_t, const float *, int64_t, int64_t, float *);
  void (*packed_f64)(const product_sizes *, const double *, const double *, const double *, double *);
  void (*transposed_f64)(const product_sizes *, const double *, const double *, const double *, double *);
  void (*rows_f64)(const product_sizes *, const double *, const double *, const double *, double *);
  void (*any_f64)(const product_sizes *, const double *, const double *, const double *, double *, double *);
  void (*pack_f64)(int64_t, int64_t, const double *, int64_t, int64_t, double *);
} engine_products;

typedef struct {
  int64_t points; /* evaluated by one run */
  const engine_step *steps;
  uint32_t num_steps;
  const engine_slice *slices;
  const int64_t *numbers;
  const engine_buffer *buffers;
  uint32_t num_buffers;
  const engine_products *products; /* NULL where there are none */
} engine_program;

enum {
  ENGINE_TYPE_FLOAT32,
  ENGINE_TYPE_FLOAT64,
  ENGINE_TYPE_BOOL, /* a byte, 0 or 1 */
  ENGINE_TYPE_INT8,
  ENGINE_TYPE_INT16,
  ENGINE_TYPE_INT32,
  ENGINE_TYPE_INT64,
  ENGINE_TYPE_UINT8,
  ENGINE_TYPE_UINT16,
  ENGINE_TYPE_UINT32,
  ENGINE_TYPE_UINT64
};

typedef struct {
  int type;
  uint64_t elements;       /* of one point */
  const double *low, *high; /* NULL where there is no range */
} engine_port;

typedef struct {
  const engine_program *one;  /* a program for one point */
  const engine_program *tile; /* a program for many */
  int64_t tail;               /* from this many remaining points on, a padded tile is cheaper than single points */
} engine_pair;

typedef struct {
  const engine_pair *pairs; /* for each target of the library */
  const engine_port *inputs;
  uint32_t num_inputs;
  const engine_port *outputs;
  uint32_t num_outputs;
} engine_entry;

enum {
  ENGINE_OK = 0,
  ENGINE_NOT_FINITE = 1,
  ENGINE_OUT_OF_RANGE = 2,
  ENGINE_NULL_OR_MISALIGNED = -1,
  ENGINE_NEGATIVE_COUNT = -2,
  ENGINE_KERNEL_FAILED = -3,
  ENGINE_NO_MEMORY = -4,
  ENGINE_NO_TARGET = -5
};

#include "engine_steps.h"

static void *engine_at(const engine_slice *slice, unsigned char *const *buffers) {
  return buffers[slice->buffer] + slice->offset;
}

static int engine_call(const engine_step *step, const engine_argument *arguments) {
  engine_dim3 id = {0, 0, 0};
  engine_frame frame;
  frame.num_workgroups = &step->groups;
  frame.workgroup_id = &id;
  frame.num_args = step->num_slices;
  frame.args = arguments;
  do {
    if (step->kernel(&frame) != NULL) return ENGINE_KERNEL_FAILED;
    if (++id.x < step->groups.x) continue;
    id.x = 0;
    if (++id.y < step->groups.y) continue;
    id.y = 0;
    ++id.z;
  } while (id.z < step->groups.z);
  return ENGINE_OK;
}

static int engine_run(const engine_program *program, uint32_t first, uint32_t last, unsigned char *const *buffers);

/* The steps inside a branch. Numbers: branches, then how many steps each of them has. The index is a byte, of which
 * true means the first branch, or an int32; one that is out of bounds means the last branch. */
static int engine_branch(const engine_program *program, uint32_t at, const engine_argument *index,
                         unsigned char *const *buffers) {
  const int64_t *numbers = program->numbers + program->steps[at].first_number;
  int64_t chosen, branch;
  uint32_t first = at + 1;
  if (index->size == 1) {
    chosen = *(const unsigned char *)index->data ? 0 : 1;
  } else {
    int32_t number;
    memcpy(&number, index->data, sizeof number);
    chosen = number;
  }
  if (chosen < 0 || chosen >= numbers[0]) chosen = numbers[0] - 1;
  for (branch = 0; branch < chosen; ++branch) first += (uint32_t)numbers[1 + branch];
  return engine_run(program, first, first + (uint32_t)numbers[1 + chosen], buffers);
}

/* The steps inside a loop: as long as the byte is not 0, or as often as the number says. */
static int engine_loop(const engine_program *program, uint32_t at, const unsigned char *flag,
                       unsigned char *const *buffers) {
  const engine_step *step = &program->steps[at];
  int64_t i;
  int status = ENGINE_OK;
  if (step->op == ENGINE_WHILE)
    while (status == ENGINE_OK && *flag) status = engine_run(program, at + 1, at + 1 + step->inside, buffers);
  else
    for (i = 0; status == ENGINE_OK && i < program->numbers[step->first_number]; ++i)
      status = engine_run(program, at + 1, at + 1 + step->inside, buffers);
  return status;
}

static int engine_run(const engine_program *program, uint32_t first, uint32_t last, unsigned char *const *buffers) {
  uint32_t s, a;
  int status = ENGINE_OK;
  for (s = first; s < last && status == ENGINE_OK; s += 1 + program->steps[s].inside) {
    const engine_step *step = &program->steps[s];
    const engine_slice *slices = &program->slices[step->first_slice];
    const int64_t *numbers = &program->numbers[step->first_number];
    engine_argument arguments[ENGINE_MAX_ARGUMENTS];
    for (a = 0; a < step->num_slices; ++a) {
      arguments[a].data = engine_at(&slices[a], buffers);
      arguments[a].size = (size_t)slices[a].size;
    }
    switch (step->op) {
      case ENGINE_KERNEL:
        status = engine_call(step, arguments);
        break;
      case ENGINE_COPY:
        memcpy(arguments[0].data, arguments[1].data, arguments[0].size);
        break;
      case ENGINE_PRODUCT_F32:
        engine_product_f32(program->products, arguments, numbers);
        break;
      case ENGINE_PRODUCT_F64:
        engine_product_f64(program->products, arguments, numbers);
        break;
      case ENGINE_CONVOLUTION_F32:
        engine_convolution_f32(program->products, arguments, numbers);
        break;
      case ENGINE_TOP_K:
        engine_top_k(arguments[0].data, arguments[1].data, arguments[2].data, numbers);
        break;
      case ENGINE_SORT:
        engine_sort(arguments, step->num_slices, step->comparator, numbers);
        break;
      case ENGINE_BRANCH:
        status = engine_branch(program, s, arguments, buffers);
        break;
      default:
        status = engine_loop(program, s, step->op == ENGINE_WHILE ? arguments[0].data : NULL, buffers);
    }
  }
  return status;
}

/* One run over `count` points (fewer than the program's are padded with the last one). Data
 * that is aligned and complete is used where it lies; the rest goes through the workspace. */
static int engine_block(const engine_program *program, unsigned char *workspace, int64_t first, int64_t count,
                        const void *const *inputs, void *const *outputs) {
  unsigned char *buffers[ENGINE_MAX_BUFFERS];
  uint32_t b;
  int64_t i;
  int status;
  for (b = 0; b < program->num_buffers; ++b) {
    const engine_buffer *buffer = &program->buffers[b];
    const size_t bytes = (size_t)buffer->point_bytes;
    unsigned char *staged = workspace + buffer->place;
    unsigned char *data = NULL;
    /* The kernels only read constants and inputs; the cast drops a qualifier, nothing more. */
    if (buffer->kind == ENGINE_CONSTANT) {
      buffers[b] = (unsigned char *)(uintptr_t)buffer->constant;
      continue;
    }
    if (buffer->kind == ENGINE_INPUT) data = (unsigned char *)(uintptr_t)inputs[buffer->port];
    if (buffer->kind == ENGINE_OUTPUT) data = (unsigned char *)outputs[buffer->port];
    if (data != NULL) data += (size_t)first * bytes;
    if (data != NULL && count == program->points && (uintptr_t)data % ENGINE_ALIGNMENT == 0) {
      buffers[b] = data;
      continue;
    }
    buffers[b] = staged;
    if (buffer->kind == ENGINE_INPUT) {
      memcpy(staged, data, (size_t)count * bytes);
      for (i = count; i < program->points; ++i) memcpy(staged + (size_t)i * bytes, data + (size_t)(count - 1) * bytes, bytes);
    }
  }
  status = engine_run(program, 0, program->num_steps, buffers);
  if (status != ENGINE_OK) return status;
  for (b = 0; b < program->num_buffers; ++b) {
    const engine_buffer *buffer = &program->buffers[b];
    const size_t bytes = (size_t)buffer->point_bytes;
    unsigned char *data;
    if (buffer->kind != ENGINE_OUTPUT || outputs[buffer->port] == NULL) continue;
    data = (unsigned char *)outputs[buffer->port] + (size_t)first * bytes;
    if (data != buffers[b]) memcpy(data, buffers[b], (size_t)count * bytes);
  }
  return ENGINE_OK;
}

/* Whether a value is infinite or NaN, by its exponent: works whatever the compiler assumes. */
static int engine_has_not_finite(const engine_port *port, const void *data, int64_t first, int64_t count) {
  const uint64_t elements = port->elements * (uint64_t)count, start = port->elements * (uint64_t)first;
  uint64_t i;
  uint32_t found = 0;
  if (port->type == ENGINE_TYPE_FLOAT64) {
    const unsigned char *values = (const unsigned char *)data + start * 8;
    for (i = 0; i < elements; ++i) {
      uint64_t bits;
      memcpy(&bits, values + i * 8, 8);
      found |= (bits & UINT64_C(0x7ff0000000000000)) == UINT64_C(0x7ff0000000000000);
    }
  } else if (port->type == ENGINE_TYPE_FLOAT32) {
    const unsigned char *values = (const unsigned char *)data + start * 4;
    for (i = 0; i < elements; ++i) {
      uint32_t bits;
      memcpy(&bits, values + i * 4, 4);
      found |= (bits & UINT32_C(0x7f800000)) == UINT32_C(0x7f800000);
    }
  }
  return (int)found;
}

#define ENGINE_READ(T)                                                      \
  {                                                                         \
    T number;                                                               \
    memcpy(&number, (const unsigned char *)data + i * sizeof(T), sizeof(T)); \
    return (double)number;                                                  \
  }

/* Number i of an array; the largest integers are rounded. */
static double engine_number(int type, const void *data, uint64_t i) {
  if (type == ENGINE_TYPE_FLOAT64) ENGINE_READ(double)
  if (type == ENGINE_TYPE_FLOAT32) ENGINE_READ(float)
  switch (type) {
    case ENGINE_TYPE_INT8: ENGINE_READ(int8_t)
    case ENGINE_TYPE_INT16: ENGINE_READ(int16_t)
    case ENGINE_TYPE_INT32: ENGINE_READ(int32_t)
    case ENGINE_TYPE_INT64: ENGINE_READ(int64_t)
    case ENGINE_TYPE_UINT16: ENGINE_READ(uint16_t)
    case ENGINE_TYPE_UINT32: ENGINE_READ(uint32_t)
    case ENGINE_TYPE_UINT64: ENGINE_READ(uint64_t)
    default: ENGINE_READ(uint8_t)
  }
}

/* Whether an input lies outside its range: NaN does, and a boolean other than 0 and 1. */
static int engine_is_outside(const engine_port *port, const void *data, int64_t first, int64_t count) {
  int64_t point;
  uint64_t e;
  if (port->low == NULL && port->type != ENGINE_TYPE_BOOL) return 0;
  for (point = first; point < first + count; ++point)
    for (e = 0; e < port->elements; ++e) {
      const double value = engine_number(port->type, data, (uint64_t)point * port->elements + e);
      if (port->low == NULL ? value > 1 : !(value >= port->low[e] && value <= port->high[e])) return 1;
    }
  return 0;
}

static int engine_check(const engine_entry *entry, int64_t first, int64_t count, const void *const *inputs,
                        void *const *outputs) {
  int status = 0;
  uint32_t p;
  for (p = 0; p < entry->num_outputs; ++p)
    if (outputs[p] != NULL && engine_has_not_finite(&entry->outputs[p], outputs[p], first, count)) status |= ENGINE_NOT_FINITE;
  for (p = 0; p < entry->num_inputs; ++p)
    if (engine_is_outside(&entry->inputs[p], inputs[p], first, count)) status |= ENGINE_OUT_OF_RANGE;
  return status;
}

/* Evaluates n points with the programs of one target of the library; a negative one is none. */
static int engine_evaluate(const engine_entry *entry, int target, void *workspace, int64_t n, const void *const *inputs,
                           void *const *outputs) {
  const engine_pair *pair;
  int64_t first = 0;
  int status = ENGINE_OK;
  uint32_t p;
  if (n < 0) return ENGINE_NEGATIVE_COUNT;
  if (n == 0) return ENGINE_OK;
  if (workspace == NULL || (uintptr_t)workspace % ENGINE_ALIGNMENT != 0) return ENGINE_NULL_OR_MISALIGNED;
  for (p = 0; p < entry->num_inputs; ++p)
    if (inputs[p] == NULL) return ENGINE_NULL_OR_MISALIGNED;
  if (target < 0) return ENGINE_NO_TARGET;
  pair = &entry->pairs[target];
  while (first < n) {
    const int64_t left = n - first;
    const engine_program *program = left >= pair->tail ? pair->tile : pair->one;
    const int64_t count = left < program->points ? left : program->points;
    const int failed = engine_block(program, workspace, first, count, inputs, outputs);
    if (failed) return failed;
    status |= engine_check(entry, first, count, inputs, outputs);
    first += count;
  }
  return status;
}

#endif
