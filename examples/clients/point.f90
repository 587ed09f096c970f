! Pressure and internal energy of water at one point, and how they change with T and rho.
program point
  use, intrinsic :: iso_c_binding, only: c_double, c_int, c_int64_t
  use eos
  implicit none
  real(c_double) :: x(2, 1), y(2, 1)       ! T, rho; p, u
  real(c_double) :: jacobian(2, 2, 1)      ! jacobian(k, i, p) is d y(i, p) / d x(k, p): C's, with its axes reversed
  type(eos_workspace) :: workspace         ! one for each thread
  integer(c_int) :: status

  x(:, 1) = [800.0_c_double, 100.0_c_double]
  status = eos_jacobian(workspace, 1_c_int64_t, x, y, jacobian)
  if (status /= eos_ok) print "(2a)", "eos: ", eos_status_text(status)
  print "(4(a, es12.6e2))", "p ", y(1, 1), " u ", y(2, 1), " dp/dT ", jacobian(1, 1, 1), " dp/drho ", jacobian(2, 1, 1)
  status = eos_jacobian(workspace, 1_c_int64_t, x, jacobian=jacobian)      ! without y: it is not written
  if (status /= eos_ok) stop 1
end program point
