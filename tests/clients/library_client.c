/* library_client.c: runs the functions of a compiled library at points from a file.
 *
 * Compiled with -DNAME=eos -DTYPE=double -DNX=2 -DNY=2, and includes that library's header.
 *   library_client N X OUTPUT_GRADIENTS Y JACOBIAN VJP     the first three are read, the others written
 */
#include <stdio.h>
#include <stdlib.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define CALL(function) JOIN(NAME, function)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)
#include TEXT(NAME.h)

static TYPE *read_numbers(const char *path, size_t count) {
  TYPE *data = malloc(sizeof(TYPE) * (count + 1));
  FILE *file = fopen(path, "rb");
  if (data == NULL || file == NULL || fread(data, sizeof(TYPE), count, file) != count) {
    fprintf(stderr, "can't read %s\n", path);
    exit(1);
  }
  fclose(file);
  return data;
}

static void write_numbers(const char *path, const TYPE *data, size_t count) {
  FILE *file = fopen(path, "wb");
  if (file == NULL || fwrite(data, sizeof(TYPE), count, file) != count) exit(1);
  fclose(file);
}

int main(int argc, char **argv) {
  const size_t n = argc == 7 ? (size_t)atoll(argv[1]) : (exit(2), 0);
  TYPE *x = read_numbers(argv[2], n * NX), *u = read_numbers(argv[3], n * NY);
  TYPE *y = malloc(sizeof(TYPE) * (n * NY + 1)), *jacobian = malloc(sizeof(TYPE) * (n * NX * NY + 1)), *vjp = malloc(sizeof(TYPE) * (n * NX + 1));
  unsigned char *memory = malloc(CALL(_workspace_size)() + 64);
  void *workspace = memory + (64 - (size_t)memory % 64) % 64;
  int status;
  status = CALL(_value)(workspace, (int64_t)n, x, y);
  if (status == 0) status = CALL(_jacobian)(workspace, (int64_t)n, x, NULL, jacobian);
  if (status == 0) status = CALL(_vjp)(workspace, (int64_t)n, x, u, NULL, vjp);
  if (status != 0) {
    fprintf(stderr, "%s\n", CALL(_status_text)(status));
    return 1;
  }
  write_numbers(argv[4], y, n * NY);
  write_numbers(argv[5], jacobian, n * NX * NY);
  write_numbers(argv[6], vjp, n * NX);
  return 0;
}
