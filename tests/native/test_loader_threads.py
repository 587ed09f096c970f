"""``threads=``: how many there are, that results don't depend on it, and that nothing hangs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pair
import pytest

from tfgradkit.errors import SignatureError
from tfgradkit.native import batch, load_native

COUNTS = [1, 31, 32, 33, 63, 64, 65, 1000, 4099]


@pytest.fixture
def eager(monkeypatch):
    """Every batch of two tiles counts as worth another thread."""
    monkeypatch.setattr(batch, "_WORTH", 1e-12)


@pytest.fixture
def slow(pair_library):
    """A library whose points take some hundred microseconds each, and that has not been measured yet."""
    library = load_native(pair_library.path)
    library._library.pair_busy(100_000)
    yield library
    library._library.pair_busy(0)


def most_together(library):
    """How many calls were in the library at a time."""
    return library._library.pair_most_together()


@pytest.mark.parametrize("n", COUNTS)
def test_results_are_the_same_to_the_last_bit(water_library, water_points, eager, n):
    x = np.resize(water_points["x"], (n, 2))
    u = np.resize(water_points["output_gradients"], (n, 2))
    alone = water_library.value_and_jacobian(x, threads=1)
    for threads in (2, 3, np.int64(7), "all", None):
        assert all(map(np.array_equal, alone, water_library.value_and_jacobian(x, threads=threads)))
    assert np.array_equal(water_library.vjp(x, u, threads=3), water_library.vjp(x, u, threads=1))


def test_several_inputs_and_out_are_cut_alike(slow):
    p = pair.points(203)
    alone = slow.jacobian(p["a"], p["b"], threads=1)
    assert most_together(slow) == 1
    out = {name: np.full_like(array, np.nan) for name, array in alone.items()}
    values, shared = slow.value_and_jacobian(p["a"], p["b"], threads=3, out=(None, out))
    assert most_together(slow) in (2, 3)
    assert all(np.array_equal(out[name], alone[name]) for name in alone)
    assert np.array_equal(shared["d_u_d_a"], alone["d_u_d_a"])
    assert np.array_equal(values["u"], slow.value(p["a"], p["b"], threads=1)["u"])


def test_a_small_batch_stays_on_one_thread(slow):
    p = pair.points(200)
    slow._library.pair_busy(0)  # 200 points now take a few microseconds
    slow.value(p["a"], p["b"], threads=4)
    assert most_together(slow) == 1


def test_statuses_of_all_parts_are_reported(pair_library, eager):
    p = pair.points(100)
    p["a"][3, 0], p["a"][90, 0] = 2000.0, np.nan
    with pytest.warns(RuntimeWarning) as caught:
        pair_library.value(p["a"], p["b"], threads=1)
    alone = str(caught[0].message)
    with pytest.warns(RuntimeWarning) as caught:
        pair_library.value(p["a"], p["b"], threads=4)
    assert [str(w.message) for w in caught] == [alone]


@pytest.mark.parametrize("threads", [0, -1, 1.5, "two", [2]])
def test_no_such_number(water_library, water_points, threads):
    for n in (1, 1, 100):
        with pytest.raises(SignatureError, match="no such number of threads"):
            water_library.value(np.resize(water_points["x"], (n, 2)), threads=threads)
        water_library.value(np.resize(water_points["x"], (n, 2)), threads=1)


def test_callers_in_several_threads_share_the_pool(slow):
    p = pair.points(120)
    expected = slow.jacobian(p["a"], p["b"], threads=1)["d_w_d_a"]
    wrong = []

    def work() -> None:
        for _ in range(5):
            if not np.array_equal(slow.jacobian(p["a"], p["b"], threads=3)["d_w_d_a"], expected):
                wrong.append(1)

    callers = [threading.Thread(target=work) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert wrong == []


def script(text, library, *arguments):
    head = (
        "import sys, os, numpy as np; from tfgradkit.native import load_native\n"
        "from tfgradkit.native import batch; batch._WORTH = 1e-12\n"
        "lib = load_native(sys.argv[1]); x = np.full((500, 2), 300.0) + [500.0, 0.0]\n"
        "expected = lib.value(x, threads=1)\n"
    )
    command = [sys.executable, "-W", "error", "-c", head + text, str(library.path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_makes_a_pool_of_its_own(water_library):
    done = script(
        "assert np.array_equal(lib.value(x, threads=3), expected)\n"
        "import warnings; warnings.simplefilter('ignore')\n"
        "child = os.fork()\n"
        "same = np.array_equal(lib.value(x, threads=3), expected)\n"
        "if child == 0: os._exit(0 if same else 9)\n"
        "sys.exit(os.waitpid(child, 0)[1])\n",
        water_library,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_call_while_the_interpreter_ends(water_library):
    done = script(
        "import atexit; lib.value(x, threads=3)\n"
        "def last(): print(np.array_equal(lib.value(x, threads=3), expected))\n"
        "import threading; threading._register_atexit(last); atexit.register(last)\n",
        water_library,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\nTrue\n", "")


def test_ctrl_c_ends_a_long_call_between_two_parts(pair_library, tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, time, signal, threading, os, numpy as np; from tfgradkit.native import load_native\n"
            "lib = load_native(sys.argv[1]); lib._library.pair_busy(500000)\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
            "start = time.monotonic()\n"
            "try: lib.value(np.ones((20000, 3)), np.ones((20000, 2), 'f4'), threads=2)\n"
            "except KeyboardInterrupt: print(time.monotonic() - start)\n",
            str(pair_library.path),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert 0.2 < float(done.stdout) < 5
