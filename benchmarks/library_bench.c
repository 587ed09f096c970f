/* library_bench.c: a function of an exported library under harness.h; -DNAME=mlp -DKIND=jacobian, and -DTHREE for three outputs. */
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define CALL(function) JOIN(NAME, function)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)
#include TEXT(NAME.h)

#include "harness.h"

static void *workspace;

static int prepare(const char *weights_file) {
  (void)weights_file;
  workspace = aligned(CALL(_workspace_size)());
  return 1;
}

static int evaluate(int64_t n, const TYPE *x, TYPE *const *outputs) {
#ifdef THREE
  return JOIN(CALL(_), KIND)(workspace, n, x, outputs[0], outputs[1], outputs[2]);
#else
  return JOIN(CALL(_), KIND)(workspace, n, x, outputs[0], outputs[1]);
#endif
}
