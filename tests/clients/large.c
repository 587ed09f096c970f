/* large.c: one call whose arrays have more than 2^31 numbers, in little memory.
 *
 * Compiled with -DNAME=wide -DTYPE=float -DNX=1024 -DNY=1, for y[0] = 2 x[0].
 *   large N OFFSET     exits with 77 where the system has no such range of addresses
 *
 * The input is a range of pages that are zero as long as nobody writes, all but its last point; the output one window
 * of memory again and again, so that its end is what was written last. OFFSET bytes spoil the alignment of both.
 */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define CALL(function) JOIN(NAME, function)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)
#include TEXT(NAME.h)

#define WINDOW ((size_t)1 << 26)

static void *reserve(size_t bytes) {
  void *range = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) exit(77);
  return range;
}

static void *repeated(size_t bytes) {
  unsigned char *range = reserve(bytes + WINDOW);
  const int file = fileno(tmpfile());
  size_t at;
  if (ftruncate(file, (off_t)WINDOW) != 0) exit(77);
  for (at = 0; at < bytes; at += WINDOW)
    if (mmap(range + at, WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED) exit(77);
  return range;
}

int main(int argc, char **argv) {
  const size_t n = argc == 3 ? (size_t)atoll(argv[1]) : (exit(2), 0), offset = (size_t)atoll(argv[2]);
  TYPE *x = (TYPE *)(void *)((unsigned char *)reserve(n * NX * sizeof(TYPE) + 64) + offset);
  TYPE *y = (TYPE *)(void *)((unsigned char *)repeated(n * NY * sizeof(TYPE) + 64) + offset);
  void *workspace = reserve(CALL(_workspace_size)() + 64);
  int status;
  x[(n - 1) * NX] = 3;
  status = CALL(_value)(workspace, (int64_t)n, x, y);
  printf("%d %g %g\n", status, (double)y[(n - 2) * NY], (double)y[(n - 1) * NY]);
  return 0;
}
