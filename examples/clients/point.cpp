// Pressure and internal energy of water at one point, and how they change with T and rho.
#include <array>
#include <cstdio>
#include <exception>
#include <vector>

#include "eos.hpp"

int main() try {
  const std::array<double, 2> x{800.0, 100.0};  // T, rho
  std::vector<double> y(2), jacobian(4);        // p, u; jacobian[2 * i + k] is d y[i] / d x[k]
  eos::workspace workspace;                     // one for each thread
  const int status = eos::jacobian(workspace, x, y, jacobian);
  if (status != 0) std::fprintf(stderr, "eos: %s\n", eos_status_text(status));
  std::printf("p %.6e u %.6e dp/dT %.6e dp/drho %.6e\n", y[0], y[1], jacobian[0], jacobian[1]);
  eos::jacobian(workspace, x, {}, jacobian);  // without y: an empty output is not written
  return status != 0;
} catch (const std::exception &error) {  // an array of a wrong size, or a call that the library refused
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
