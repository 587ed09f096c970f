/* fuzz.c: random calls of a library's value-and-Jacobian function, each judged by what the header promises.
 *
 * Compiled with -DNAME=eos -DTYPE=double -DNX=2 -DNY=2 -DLOW=-3 -DHIGH=3, the range the library was exported with.
 *   fuzz SEED CALLS    prints the number of calls, or the first that broke a promise, and exits with 1
 *
 * n, the alignment of every array, which pointers are NULL, and the numbers are random: NaN, infinities, denormals and
 * huge values among them. Every array has room for its own numbers alone, with a guard behind it.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define CALL(function) JOIN(NAME, function)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)
#include TEXT(NAME.h)

#define MOST_POINTS 150
#define GUARD_BYTES 64
#define GUARD 0x5a

typedef struct {
  unsigned char *memory, *data;
  size_t bytes;
} array;

static uint64_t state;

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016. */
static uint64_t draw(uint64_t below) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (state * UINT64_C(2685821657736338717) >> 16) % below;
}

static TYPE number(void) {
  const TYPE smallest = sizeof(TYPE) == 4 ? (TYPE)FLT_MIN : (TYPE)DBL_MIN, largest = sizeof(TYPE) == 4 ? (TYPE)FLT_MAX : (TYPE)DBL_MAX;
  const TYPE usual = (TYPE)((double)draw(1000000) / 500000 - 1);
  if (draw(50) != 0) return usual;
  switch (draw(8)) {
    case 0: return (TYPE)NAN;
    case 1: return (TYPE)INFINITY;
    case 2: return -(TYPE)INFINITY;
    case 3: return usual * smallest;
    case 4: return usual * largest;
    case 5: return usual * (TYPE)1e10;
    case 6: return 0;
    default: return -(TYPE)0.0;
  }
}

/* Room for `bytes` at a random alignment, and a guard on either side. */
static array make(size_t bytes) {
  array a;
  const size_t offset = draw(3) == 0 ? 0 : draw(64);
  a.bytes = bytes;
  a.memory = malloc(bytes + 2 * GUARD_BYTES + 128);
  if (a.memory == NULL) exit(2);
  memset(a.memory, GUARD, bytes + 2 * GUARD_BYTES + 128);
  a.data = a.memory + GUARD_BYTES;
  a.data += (64 - (uintptr_t)a.data % 64) % 64 + offset;
  return a;
}

static int guarded(const array *a) {
  size_t i;
  const size_t all = a->bytes + 2 * GUARD_BYTES + 128;
  for (i = 0; i < all; ++i) {
    const unsigned char *at = a->memory + i;
    if ((at < a->data || at >= a->data + a->bytes) && *at != GUARD) return 0;
  }
  return 1;
}

static int untouched(const array *a) {
  size_t i;
  for (i = 0; i < a->bytes; ++i)
    if (a->data[i] != GUARD) return 0;
  return guarded(a);
}

static TYPE at(const array *a, size_t i) {
  TYPE x;
  memcpy(&x, a->data + i * sizeof(TYPE), sizeof(TYPE));
  return x;
}

static int not_finite(const array *a) {
  size_t i;
  for (i = 0; i < a->bytes / sizeof(TYPE); ++i)
    if (!isfinite((double)at(a, i))) return 1;
  return 0;
}

static int outside(const array *a) {
  size_t i;
  for (i = 0; i < a->bytes / sizeof(TYPE); ++i)
    if (!(at(a, i) >= (TYPE)LOW && at(a, i) <= (TYPE)HIGH)) return 1;
  return 0;
}

/* Whether point i of a result is what the library says of that point alone. */
static int agrees(const array *got, const TYPE *alone, size_t i, size_t size) {
  double scale = 1;
  size_t e;
  for (e = 0; e < size; ++e)
    if (isfinite((double)alone[e]) && fabs((double)alone[e]) > scale) scale = fabs((double)alone[e]);
  for (e = 0; e < size; ++e) {
    const double a = (double)at(got, i * size + e), b = (double)alone[e];
    if (!isfinite(a) || !isfinite(b)) {
      if (isfinite(a) != isfinite(b)) return 0;
    } else if (fabs(a - b) > (sizeof(TYPE) == 4 ? 1e-4 : 1e-11) * scale) {
      return 0;
    }
  }
  return 1;
}

static const char *one_call(void) {
  const int64_t n = draw(4) == 0 ? (int64_t)draw(3) : (int64_t)draw(MOST_POINTS);
  const size_t points = (size_t)n, spoil = draw(20), size = CALL(_workspace_size)();
  array x = make(points * NX * sizeof(TYPE)), y = make(points * NY * sizeof(TYPE)), jacobian = make(points * NY * NX * sizeof(TYPE));
  array workspace = make(size + 64);
  unsigned char *aligned = workspace.data + (64 - (uintptr_t)workspace.data % 64) % 64;
  const int without_y = draw(4) == 0, without_jacobian = draw(4) == 0;
  const char *broken = NULL;
  int64_t given = n;
  int status, expected = 0;
  size_t i;
  for (i = 0; i < points * NX; ++i) {
    const TYPE value = number();
    memcpy(x.data + i * sizeof(TYPE), &value, sizeof(TYPE));
  }
  if (spoil == 0) given = -1 - (int64_t)draw(UINT64_C(1) << 40), expected = -2;
  if (n > 0 && (spoil == 1 || spoil == 2 || spoil == 3)) expected = -1;
  status = CALL(_jacobian)(spoil == 1 ? NULL : spoil == 2 ? aligned + 1 + draw(63) : aligned, given,
                           (const TYPE *)(const void *)(spoil == 3 ? NULL : x.data),
                           without_y ? NULL : (TYPE *)(void *)y.data, without_jacobian ? NULL : (TYPE *)(void *)jacobian.data);
  if (expected < 0) {
    if (status != expected) broken = "a call that had to be refused was not";
    if (!untouched(&y) || !untouched(&jacobian)) broken = "a refused call wrote results";
  } else {
    if ((!without_y && not_finite(&y)) || (!without_jacobian && not_finite(&jacobian))) expected |= 1;
    if (outside(&x)) expected |= 2;
    if (status != expected) broken = "the status is not that of the results and inputs";
    if ((without_y && !untouched(&y)) || (without_jacobian && !untouched(&jacobian))) broken = "an output that was NULL was written";
    for (i = 0; i < points && broken == NULL; i += 1 + draw(points)) {
      TYPE one_x[NX], one_y[NY], one_jacobian[NY * NX];
      memcpy(one_x, x.data + i * sizeof one_x, sizeof one_x);
      CALL(_jacobian)(aligned, 1, one_x, one_y, one_jacobian);
      if (!without_y && !agrees(&y, one_y, i, NY)) broken = "a value depends on its place";
      if (!without_jacobian && !agrees(&jacobian, one_jacobian, i, NY * NX)) broken = "a Jacobian depends on its place";
    }
  }
  if (!guarded(&x) || !guarded(&y) || !guarded(&jacobian) || !guarded(&workspace)) broken = "something was written outside of an array";
  free(x.memory), free(y.memory), free(jacobian.memory), free(workspace.memory);
  return broken;
}

int main(int argc, char **argv) {
  const long calls = argc > 2 ? atol(argv[2]) : 1000;
  long i;
  state = (uint64_t)(argc > 1 ? atol(argv[1]) : 1) * UINT64_C(0x9e3779b97f4a7c15) + 1;
  for (i = 0; i < calls; ++i) {
    const uint64_t before = state;
    const char *broken = one_call();
    if (broken != NULL) {
      printf("call %ld (state %llu): %s\n", i, (unsigned long long)before, broken);
      return 1;
    }
  }
  printf("%ld calls, %s\n", calls, CALL(_target)());
  return 0;
}
