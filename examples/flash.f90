! flash.f90: states of water from pressure and internal energy, as flash.c, in Fortran.
!
! Given (p, u), find (T, rho) with f(T, rho) = (p, u) by Newton's method, for thousands of states, where f
! is a Keras model in a library that tfgradkit wrote: once with the library's exact tangent, once with one
! from finite differences.
!
!   tfgradkit compile saved_models/water_eos.keras --output build/eos --name eos --derivative jacobian
!   gfortran -O2 -J build build/eos/fortran/eos.f90 examples/flash.f90 build/eos/lib/libeos.a -o build/flash
!   build/flash 10000
program flash
  use, intrinsic :: iso_c_binding, only: c_double, c_int, c_int64_t
  use, intrinsic :: iso_fortran_env, only: error_unit
  use eos
  implicit none

  integer, parameter :: most_iterations = 40
  real(c_double), parameter :: tolerance = 1e-11_c_double                       ! of the residual, by the scales below
  real(c_double), parameter :: scales(2) = [1e8_c_double, 1e6_c_double]        ! Pa, J/kg
  real(c_double), parameter :: low(2) = [660.0_c_double, 1.0_c_double], high(2) = [1100.0_c_double, 500.0_c_double]

  ! The library's arrays have the point last, and tangent(k, i, p) is d value(i, p) / d state(k, p).
  type :: solution
    real(c_double), allocatable :: state(:, :)       ! T, rho
    real(c_double), allocatable :: value(:, :)       ! p, u
    real(c_double), allocatable :: tangent(:, :, :)
    real(c_double), allocatable :: residual(:)       ! the largest scaled component
    real(c_double) :: history(0:most_iterations)
    integer :: iterations
    integer(c_int64_t) :: unsolved
    real(c_double) :: seconds
  end type solution

  type(eos_workspace) :: workspace
  type(solution) :: exact, differences
  real(c_double), allocatable :: truth(:, :), goal(:, :)
  real(c_double) :: error
  integer(c_int64_t) :: n
  integer(c_int) :: status

  n = asked_states()
  if (eos_selftest(error) /= eos_ok) call fail("the library fails its self-test, error " // text(error))
  print "(a)", "self-test of the library: largest relative error " // text(error)
  allocate (truth(2, n), goal(2, n))
  call make_goals(truth, goal)
  call solve(.true., exact)
  call solve(.false., differences)
  call report("Newton with the exact tangent", exact)
  call report("Newton with finite differences", differences)
  print "(a)", "exact tangent: " // decimal(differences%seconds / exact%seconds) // " times as fast"
  if (exact%unsolved > 0) stop 1

contains

  integer(c_int64_t) function asked_states()
    character(len=32) :: argument
    integer :: failed
    asked_states = 10000
    if (command_argument_count() == 0) return
    call get_command_argument(1, argument)
    read (argument, *, iostat=failed) asked_states
    if (failed == 0 .and. asked_states >= 1) return
    write (error_unit, "(a)") "usage: flash [number of states, at least 1]"
    stop 2
  end function asked_states

  subroutine fail(what)
    character(len=*), intent(in) :: what
    write (error_unit, "(a)") "flash: " // what
    stop 1
  end subroutine fail

  ! States spread over the range by the golden ratio; their (p, u) is what is solved for.
  subroutine make_goals(truth, goal)
    real(c_double), intent(out) :: truth(:, :), goal(:, :)
    real(c_double) :: share(2)
    integer(c_int64_t) :: p
    do p = 1, n
      share(1) = (real(p - 1, c_double) + 0.5_c_double) / real(n, c_double)
      share(2) = mod(0.5_c_double + 0.6180339887498949_c_double * real(p - 1, c_double), 1.0_c_double)
      truth(:, p) = low + (0.02_c_double + 0.96_c_double * share) * (high - low)
    end do
    status = eos_value(workspace, n, truth, goal)
  end subroutine make_goals

  subroutine solve(with_exact_tangent, s)
    logical, intent(in) :: with_exact_tangent
    type(solution), intent(out) :: s
    real(c_double) :: start, finish
    integer(c_int64_t) :: p
    allocate (s%state(2, n), s%value(2, n), s%tangent(2, 2, n), s%residual(n))
    call cpu_time(start)
    s%state = spread(0.5_c_double * (low + high), 2, int(n))
    s%iterations = 0
    do
      if (with_exact_tangent) then
        status = eos_jacobian(workspace, n, s%state, s%value, s%tangent)
      else
        call difference_tangent(s)
      end if
      if (status < 0 .or. iand(status, eos_not_finite) /= 0) call fail(eos_status_text(status))
      do p = 1, n
        s%residual(p) = maxval(abs(goal(:, p) - s%value(:, p)) / scales)
      end do
      s%unsolved = count(s%residual > tolerance, kind=c_int64_t)
      s%history(s%iterations) = maxval(s%residual)
      if (s%unsolved == 0 .or. s%iterations == most_iterations) exit
      do p = 1, n
        if (s%residual(p) > tolerance) call newton_step(s%state(:, p), s%value(:, p), s%tangent(:, :, p), goal(:, p))
      end do
      s%iterations = s%iterations + 1
    end do
    call cpu_time(finish)
    s%seconds = finish - start
  end subroutine solve

  ! Forward differences: the value at the state and at two points beside it.
  subroutine difference_tangent(s)
    type(solution), intent(inout) :: s
    real(c_double), allocatable :: moved(:, :), beside(:, :)
    integer(c_int64_t) :: p
    integer :: k
    allocate (beside(2, n))
    status = eos_value(workspace, n, s%state, s%value)
    do k = 1, 2
      moved = s%state
      moved(k, :) = moved(k, :) + 1e-7_c_double * abs(s%state(k, :))
      if (status >= 0) status = eos_value(workspace, n, moved, beside)
      do p = 1, n
        s%tangent(k, :, p) = (beside(:, p) - s%value(:, p)) / (moved(k, p) - s%state(k, p))
      end do
    end do
  end subroutine difference_tangent

  ! One Newton step for one state, damped so that it stays within the model's range.
  pure subroutine newton_step(x, y, j, goal)
    real(c_double), intent(inout) :: x(2)
    real(c_double), intent(in) :: y(2), j(2, 2), goal(2)
    real(c_double) :: r(2), determinant, step(2), most(2)
    r = goal - y
    determinant = j(1, 1) * j(2, 2) - j(2, 1) * j(1, 2)
    step = [(j(2, 2) * r(1) - j(2, 1) * r(2)) / determinant, (j(1, 1) * r(2) - j(1, 2) * r(1)) / determinant]
    most = 0.3_c_double * (high - low)
    x = min(max(x + min(max(step, -most), most), low), high)
  end subroutine newton_step

  subroutine report(name, s)
    character(len=*), intent(in) :: name
    type(solution), intent(in) :: s
    real(c_double) :: worst, microseconds
    integer(c_int64_t) :: p
    integer :: k
    worst = 0
    do p = 1, n
      worst = max(worst, maxval(abs(s%state(:, p) - truth(:, p)) / (high - low)))
    end do
    microseconds = 1e6_c_double * s%seconds / real(n, c_double)
    print "(a)", name
    print "(a, i0, a, i0, a, i0)", "  iterations ", s%iterations, ", states not solved ", s%unsolved, " of ", n
    print "(*(a))", "  largest residual by iteration (scaled):", (" " // text(s%history(k)), k=0, s%iterations)
    print "(a)", "  largest error of (T, rho), relative to their range: " // text(worst)
    print "(a)", "  time: " // decimal(microseconds) // " us a state, " // &
        decimal(microseconds / (s%iterations + 1)) // " us a state and iteration"
  end subroutine report

  ! A number as C's %.1e prints it.
  function text(x)
    real(c_double), intent(in) :: x
    character(len=:), allocatable :: text
    character(len=16) :: buffer
    write (buffer, "(es16.1e2)") x
    text = trim(adjustl(buffer))
    text(index(text, "E"):index(text, "E")) = "e"
  end function text

  ! A number as C's %.2f prints it.
  function decimal(x)
    real(c_double), intent(in) :: x
    character(len=:), allocatable :: decimal
    character(len=32) :: buffer
    write (buffer, "(f32.2)") x
    decimal = trim(adjustl(buffer))
  end function decimal
end program flash
