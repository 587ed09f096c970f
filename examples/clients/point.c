/* Pressure and internal energy of water at one point, and how they change with T and rho. */
#include <stdio.h>
#include <stdlib.h>

#include "eos.h"

int main(void) {
  const double x[2] = {800.0, 100.0}; /* T, rho */
  double y[2], jacobian[2][2];        /* p, u; jacobian[i][k] is d y[i] / d x[k] */
  void *workspace = aligned_alloc(64, (eos_workspace_size() + 63) / 64 * 64); /* one for each thread */
  const int status = eos_jacobian(workspace, 1, x, y, &jacobian[0][0]);
  if (status != 0) fprintf(stderr, "eos: %s\n", eos_status_text(status));
  printf("p %.6e u %.6e dp/dT %.6e dp/drho %.6e\n", y[0], y[1], jacobian[0][0], jacobian[0][1]);
  free(workspace);
  return status != 0;
}
