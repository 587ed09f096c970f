/* allocations.c: counts what a library takes from the heap, by standing in for the C library's functions.
 *
 * Compiled as fuzz.c is, with the static library and -Wl,--wrap for each function below.
 * Prints the allocations of many calls, and, to show that they are seen, those of the self-test.
 */
#include <stdio.h>
#include <stdlib.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define CALL(function) JOIN(NAME, function)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)
#include TEXT(NAME.h)

#define POINTS 77

static int count;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **memory, size_t alignment, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);
void *__real_mmap(void *at, size_t size, int protection, int flags, int file, long offset);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int file, long offset);

void *__wrap_malloc(size_t size) { return ++count, __real_malloc(size); }
void *__wrap_calloc(size_t n, size_t size) { return ++count, __real_calloc(n, size); }
void *__wrap_realloc(void *memory, size_t size) { return ++count, __real_realloc(memory, size); }
void *__wrap_aligned_alloc(size_t alignment, size_t size) { return ++count, __real_aligned_alloc(alignment, size); }
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size) { return ++count, __real_posix_memalign(memory, alignment, size); }
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int file, long offset) {
  return ++count, __real_mmap(at, size, protection, flags, file, offset);
}

int main(void) {
  static TYPE x[POINTS * NX + 1], y[POINTS * NY + 1], jacobian[POINTS * NY * NX + 1];
  unsigned char *memory = __real_malloc(CALL(_workspace_size)() + 64);
  void *workspace = memory + (64 - (uintptr_t)memory % 64) % 64;
  int64_t n;
  int calls;
  for (n = 0; n <= POINTS; ++n) {
    CALL(_jacobian)(workspace, n, x, y, jacobian);
    CALL(_jacobian)(workspace, n, x + 1, NULL, jacobian + 1);
    CALL(_value)(workspace, n, x, y);
  }
  (void)CALL(_status_text)(1), (void)CALL(_metadata)(), (void)CALL(_target)();
  calls = count;
  count = 0;
  if (CALL(_selftest)(NULL) != 0) return 1;
  printf("%d %d\n", calls, count);
  free(memory);
  return 0;
}
