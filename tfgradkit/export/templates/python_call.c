/* python_call.c: a function of a C library as a function of Python, at a few tenths of a microsecond a call.
 *
 * A module against CPython's stable ABI and NumPy's C API that knows no library: make() takes the address of a C
 * function, the ports of its arrays, and a Python function that does the same in the slow way. What make() returns takes
 * arrays that C can use as they are: of NumPy's own class, of the port's dtype and shape, aligned and contiguous, on one
 * thread. Anything else goes to the slow way, which converts, or tells what is wrong.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#include <numpy/arrayobject.h>

#include <stdint.h>
#include <string.h>
#include <time.h>

#define INTERFACE 1    /* of make(); tfgradkit/native/extension.py has the same */
#define MAX_ARRAYS 16  /* of a function: INVOKE has as many cases */
#define MAX_AXES 16    /* of an array */
#define SHORT 10000    /* nanoseconds for which Python's other threads can wait: their turn would cost as much */
#define TIMED_EVERY 256

/* The array of one point. */
typedef struct {
  PyArray_Descr *dtype;
  int axes;
  npy_intp shape[MAX_AXES];
} Port;

/* What one function of Python calls. */
typedef struct {
  PyObject_HEAD
  PyMethodDef method;
  void *function;
  int inputs, outputs, skipped; /* the first of a function's outputs may be skipped: C gets NULL for them */
  Port ports[MAX_ARRAYS];       /* of the inputs, then of the outputs that are not skipped */
  int64_t most;                 /* points that are evaluated on one thread in any case */
  double point_time;            /* nanoseconds, when it was last measured */
  unsigned untimed;             /* calls since then */
  uint64_t key;                 /* of the library's workspaces; no two of a process are the same */
  PyObject *workspaces;         /* its attribute address is the calling thread's workspace */
  PyObject *name, *text;        /* bytes, of method */
  PyObject *keywords;           /* the inputs' names, interned; None for one that has to be given by position */
  PyObject *out, *threads;      /* the names of these keywords, or NULL where there are none */
  PyObject *pack;               /* makes the result from a tuple of arrays; None where that, or the one array, is it */
  PyObject *report;             /* takes a status that is not 0 */
  PyObject *slow;               /* takes every call */
  PyObject *reduce;             /* for pickle: the owner's __reduce__ */
} Call;

/* The workspace of this thread that was used last: asking Python takes ten times as long. */
static _Thread_local struct {
  uint64_t key;
  void *address;
} last_workspace;

static void *workspace(const Call *call) {
  if (last_workspace.key == call->key) return last_workspace.address;
  PyObject *address = PyObject_GetAttrString(call->workspaces, "address");
  void *pointer = address ? PyLong_AsVoidPtr(address) : NULL;
  Py_XDECREF(address);
  if (pointer) {
    last_workspace.key = call->key;
    last_workspace.address = pointer;
  }
  return pointer;
}

static PyObject *slow(const Call *call, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords) {
  PyObject *result = NULL, *named = NULL, *given = PyTuple_New(count);
  if (!given) return NULL;
  for (Py_ssize_t i = 0; i < count; i++) {
    Py_INCREF(arguments[i]);
    PyTuple_SetItem(given, i, arguments[i]);
  }
  if (keywords) {
    if (!(named = PyDict_New())) goto end;
    for (Py_ssize_t i = 0; i < PyTuple_Size(keywords); i++)
      if (PyDict_SetItem(named, PyTuple_GetItem(keywords, i), arguments[count + i])) goto end;
  }
  result = PyObject_Call(call->slow, given, named);
end:
  Py_XDECREF(named);
  Py_DECREF(given);
  return result;
}

static int is_one_or_more(PyObject *threads) {
  if (threads == Py_None) return 1;
  if (!PyLong_CheckExact(threads)) return 0;
  int overflow;
  return PyLong_AsLongAndOverflow(threads, &overflow) >= 1;
}

/* Whether every input has an argument, and there are no others. Takes out= from the keywords. */
static int bind(const Call *call, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords, PyObject **inputs,
                PyObject **out) {
  Py_ssize_t named = keywords ? PyTuple_Size(keywords) : 0, missing = call->inputs - count;
  if (missing < 0) return 0;
  for (int i = 0; i < call->inputs; i++) inputs[i] = i < count ? arguments[i] : NULL;
  for (Py_ssize_t k = 0; k < named; k++) {
    PyObject *keyword = PyTuple_GetItem(keywords, k), *value = arguments[count + k];
    if (keyword == call->out) {
      if (value != Py_None) *out = value;
    } else if (keyword == call->threads) {
      if (!is_one_or_more(value)) return 0;
    } else {
      int i = 0;
      while (i < call->inputs && PyTuple_GetItem(call->keywords, i) != keyword) i++;
      if (i == call->inputs || inputs[i]) return 0;
      inputs[i] = value;
      missing--;
    }
  }
  return missing == 0;
}

/* Whether C can use an object as it is for points with these leading axes. */
static int fits(const Port *port, PyObject *object, int flags, int axes, const npy_intp *lead) {
  if (Py_TYPE(object) != &PyArray_Type) return 0;
  PyArrayObject *array = (PyArrayObject *)object;
  if (PyArray_DESCR(array) != port->dtype || PyArray_NDIM(array) != axes + port->axes) return 0;
  if (!PyArray_CHKFLAGS(array, flags)) return 0;
  const npy_intp *shape = PyArray_DIMS(array);
  for (int i = 0; i < axes; i++)
    if (shape[i] != lead[i]) return 0;
  for (int i = 0; i < port->axes; i++)
    if (shape[axes + i] != port->shape[i]) return 0;
  return 1;
}

/* Whether no result shares memory with another array; all are contiguous. */
static int are_apart(PyObject *const *arrays, int inputs, int count) {
  for (int i = inputs; i < count; i++) {
    PyArrayObject *own = (PyArrayObject *)arrays[i];
    uintptr_t start = (uintptr_t)PyArray_DATA(own), end = start + (uintptr_t)PyArray_NBYTES(own);
    for (int j = 0; j < i; j++) {
      PyArrayObject *other = (PyArrayObject *)arrays[j];
      uintptr_t from = (uintptr_t)PyArray_DATA(other), to = from + (uintptr_t)PyArray_NBYTES(other);
      if (start < to && from < end) return 0;
    }
  }
  return 1;
}

/* The user's arrays as new references in results; 0 where they don't fit, or are not as many as the results. */
static int take(const Call *call, PyObject *out, PyObject **arrays, int axes, const npy_intp *lead) {
  int several = PyTuple_CheckExact(out), count = call->outputs;
  PyObject **results = arrays + call->inputs;
  if (call->pack != Py_None || (several ? PyTuple_Size(out) : 1) != count) return 0;
  for (int i = 0; i < count; i++) {
    results[i] = several ? PyTuple_GetItem(out, i) : out;
    if (!fits(&call->ports[call->inputs + i], results[i], NPY_ARRAY_CARRAY, axes, lead)) return 0;
  }
  if (!are_apart(arrays, call->inputs, call->inputs + count)) return 0;
  for (int i = 0; i < count; i++) Py_INCREF(results[i]);
  return 1;
}

static void forget(PyObject **results, int count) {
  for (int i = 0; i < count; i++) Py_DECREF(results[i]);
}

/* New arrays; 0 with an exception where there is no memory. */
static int create(const Call *call, PyObject **results, int axes, const npy_intp *lead) {
  npy_intp shape[2 * MAX_AXES];
  if (axes) memcpy(shape, lead, (size_t)axes * sizeof *shape);
  for (int i = 0; i < call->outputs; i++) {
    const Port *port = &call->ports[call->inputs + i];
    memcpy(shape + axes, port->shape, (size_t)port->axes * sizeof *shape);
    Py_INCREF((PyObject *)port->dtype); /* taken by the array */
    results[i] = PyArray_NewFromDescr(&PyArray_Type, port->dtype, axes + port->axes, shape, NULL, NULL, 0, NULL);
    if (!results[i]) {
      forget(results, i);
      return 0;
    }
  }
  return 1;
}

#define P(n) , void *
#define A(n) , p[n]
#define LIST_2(X) X(0) X(1)
#define LIST_3(X) LIST_2(X) X(2)
#define LIST_4(X) LIST_3(X) X(3)
#define LIST_5(X) LIST_4(X) X(4)
#define LIST_6(X) LIST_5(X) X(5)
#define LIST_7(X) LIST_6(X) X(6)
#define LIST_8(X) LIST_7(X) X(7)
#define LIST_9(X) LIST_8(X) X(8)
#define LIST_10(X) LIST_9(X) X(9)
#define LIST_11(X) LIST_10(X) X(10)
#define LIST_12(X) LIST_11(X) X(11)
#define LIST_13(X) LIST_12(X) X(12)
#define LIST_14(X) LIST_13(X) X(13)
#define LIST_15(X) LIST_14(X) X(14)
#define LIST_16(X) LIST_15(X) X(15)
#define INVOKE(count) \
  case count: return ((int (*)(void *, int64_t LIST_##count(P)))function)(work, n LIST_##count(A));

/* The C function of a workspace, a number of points, and an address for each array. */
static int invoke(void *function, void *work, int64_t n, void **p, int count) {
  switch (count) {
    INVOKE(2) INVOKE(3) INVOKE(4) INVOKE(5) INVOKE(6) INVOKE(7) INVOKE(8) INVOKE(9) INVOKE(10)
    INVOKE(11) INVOKE(12) INVOKE(13) INVOKE(14) INVOKE(15) INVOKE(16)
  }
  return -1; /* make() refuses other counts */
}

static double nanoseconds(void) {
  struct timespec now = {0, 0};
  timespec_get(&now, TIME_UTC);
  return 1e9 * (double)now.tv_sec + (double)now.tv_nsec;
}

/* Python's lock is kept during a short call, and released for a long one and for one of unknown length. */
static int evaluate(Call *call, void *work, int64_t points, PyObject *const *arrays) {
  void *places[MAX_ARRAYS];
  int count = 0;
  for (int i = 0; i < call->inputs; i++) places[count++] = PyArray_DATA((PyArrayObject *)arrays[i]);
  for (int i = 0; i < call->skipped; i++) places[count++] = NULL;
  for (int i = 0; i < call->outputs; i++) places[count++] = PyArray_DATA((PyArrayObject *)arrays[call->inputs + i]);
  if ((double)points * call->point_time < SHORT && ++call->untimed % TIMED_EVERY)
    return invoke(call->function, work, points, places, count);
  int status;
  double start, end;
  Py_BEGIN_ALLOW_THREADS
  start = nanoseconds();
  status = invoke(call->function, work, points, places, count);
  end = nanoseconds();
  Py_END_ALLOW_THREADS
  call->point_time = (end - start) / (double)points;
  return status;
}

/* The results in the user's form; takes their references. */
static PyObject *packed(const Call *call, PyObject **results) {
  if (call->outputs == 1 && call->pack == Py_None) return results[0];
  PyObject *all = PyTuple_New(call->outputs);
  if (!all) {
    forget(results, call->outputs);
    return NULL;
  }
  for (int i = 0; i < call->outputs; i++) PyTuple_SetItem(all, i, results[i]);
  if (call->pack == Py_None) return all;
  PyObject *own = PyObject_CallFunctionObjArgs(call->pack, all, NULL);
  Py_DECREF(all);
  return own;
}

/* 0, or -1 with the exception that the report has raised. */
static int report(const Call *call, int status) {
  PyObject *done = PyObject_CallFunction(call->report, "i", status);
  Py_XDECREF(done);
  return done ? 0 : -1;
}

static PyObject *run(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords) {
  Call *call = (Call *)self;
  PyObject *arrays[MAX_ARRAYS], *out = NULL;
  if (!bind(call, arguments, count, keywords, arrays, &out)) return slow(call, arguments, count, keywords);
  if (Py_TYPE(arrays[0]) != &PyArray_Type) return slow(call, arguments, count, keywords);
  int axes = PyArray_NDIM((PyArrayObject *)arrays[0]) - call->ports[0].axes;
  const npy_intp *lead = PyArray_DIMS((PyArrayObject *)arrays[0]);
  int64_t points = 1;
  for (int i = 0; i < axes; i++) points = points <= call->most ? points * lead[i] : points;
  if (axes < 0 || axes > MAX_AXES || points < 1 || points > call->most)
    return slow(call, arguments, count, keywords);
  for (int i = 0; i < call->inputs; i++)
    if (!fits(&call->ports[i], arrays[i], NPY_ARRAY_CARRAY_RO, axes, lead))
      return slow(call, arguments, count, keywords);
  void *work = workspace(call);
  if (!work) return NULL;
  PyObject **results = arrays + call->inputs;
  if (out) {
    if (!take(call, out, arrays, axes, lead)) return slow(call, arguments, count, keywords);
  } else if (!create(call, results, axes, lead)) {
    return NULL;
  }
  int status = evaluate(call, work, points, arrays);
  if (status && report(call, status)) {
    forget(results, call->outputs);
    return NULL;
  }
  return packed(call, results);
}

/* A port from (dtype, shape). */
static int read_port(PyObject *pair, Port *port) {
  PyObject *dtype, *shape;
  if (!PyArg_ParseTuple(pair, "O!O!", &PyArrayDescr_Type, &dtype, &PyTuple_Type, &shape)) return 0;
  if (PyTuple_Size(shape) > MAX_AXES) {
    PyErr_SetString(PyExc_ValueError, "an array has too many axes");
    return 0;
  }
  port->axes = (int)PyTuple_Size(shape);
  for (int i = 0; i < port->axes; i++) {
    port->shape[i] = PyLong_AsSsize_t(PyTuple_GetItem(shape, i));
    if (port->shape[i] < 1) {
      if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "an array is empty");
      return 0;
    }
  }
  Py_INCREF(dtype);
  port->dtype = (PyArray_Descr *)dtype;
  return 1;
}

static int read_ports(Call *call, PyObject *inputs, PyObject *outputs) {
  Py_ssize_t first = PyTuple_Size(inputs), count = PyTuple_Size(outputs), all = first + call->skipped + count;
  if (first < 1 || count < 1 || call->skipped < 0 || all > MAX_ARRAYS || PyTuple_Size(call->keywords) != first) {
    PyErr_SetString(PyExc_ValueError, "no such number of arrays");
    return 0;
  }
  call->inputs = (int)first;
  call->outputs = (int)count;
  for (Py_ssize_t i = 0; i < first + count; i++) {
    PyObject *pair = i < first ? PyTuple_GetItem(inputs, i) : PyTuple_GetItem(outputs, i - first);
    if (!read_port(pair, &call->ports[i])) return 0;
  }
  return 1;
}

/* Names as the interpreter passes them, so that addresses tell whether they are the same. */
static PyObject *interned(PyObject *names) {
  PyObject *tuple = PyTuple_New(PyTuple_Size(names));
  for (Py_ssize_t i = 0; tuple && i < PyTuple_Size(names); i++) {
    PyObject *name = PyTuple_GetItem(names, i);
    Py_INCREF(name);
    if (name != Py_None) PyUnicode_InternInPlace(&name);
    PyTuple_SetItem(tuple, i, name);
  }
  return tuple;
}

static int visit_all(PyObject *self, visitproc visit, void *arg) {
  Call *call = (Call *)self;
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(call->workspaces);
  Py_VISIT(call->pack);
  Py_VISIT(call->report);
  Py_VISIT(call->slow);
  Py_VISIT(call->reduce);
  return 0;
}

static int clear(PyObject *self) {
  Call *call = (Call *)self;
  Py_CLEAR(call->workspaces);
  Py_CLEAR(call->pack);
  Py_CLEAR(call->report);
  Py_CLEAR(call->slow);
  Py_CLEAR(call->reduce);
  return 0;
}

static void destroy(PyObject *self) {
  Call *call = (Call *)self;
  PyTypeObject *type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  clear(self);
  for (int i = 0; i < MAX_ARRAYS; i++) Py_CLEAR(call->ports[i].dtype);
  Py_CLEAR(call->name);
  Py_CLEAR(call->text);
  Py_CLEAR(call->keywords);
  Py_CLEAR(call->out);
  Py_CLEAR(call->threads);
  PyObject_GC_Del(self);
  Py_DECREF(type);
}

static PyObject *reduce(PyObject *self, PyObject *unused) {
  (void)unused;
  return PyObject_CallObject(((Call *)self)->reduce, NULL);
}

static PyMethodDef call_methods[] = {
    {"__reduce__", reduce, METH_NOARGS, "The owner's: pickle looks the function up there."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot call_slots[] = {
    {Py_tp_doc, "A C function and its ports."}, {Py_tp_traverse, visit_all}, {Py_tp_clear, clear},
    {Py_tp_dealloc, destroy}, {Py_tp_methods, call_methods}, {0, NULL},
};

static PyType_Spec call_spec = {
    "tfgradkit.native.Call", sizeof(Call), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, call_slots,
};

static PyObject *kept(PyObject *object) {
  Py_XINCREF(object);
  return object;
}

PyDoc_STRVAR(make_text,
             "make(name, text, module, function, inputs, outputs, skipped, keywords, options, most, key, workspaces,\n"
             "     pack, report, slow, reduce)\n\n"
             "A function that calls the C function at the address `function`; python_call.c says what each is.");

static PyObject *make(PyObject *module, PyObject *arguments) {
  PyObject *name, *text, *owner, *address, *inputs, *outputs, *names, *workspaces, *pack, *reports, *other, *reduces;
  int skipped, options;
  long long most;
  unsigned long long key;
  if (!PyArg_ParseTuple(arguments, "SSUOO!O!iO!pLKOOOOO", &name, &text, &owner, &address, &PyTuple_Type, &inputs,
                        &PyTuple_Type, &outputs, &skipped, &PyTuple_Type, &names, &options, &most, &key,
                        &workspaces, &pack, &reports, &other, &reduces))
    return NULL;
  void *function = PyLong_AsVoidPtr(address);
  if (!function) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "no function");
    return NULL;
  }
  PyTypeObject *type = *(PyTypeObject **)PyModule_GetState(module);
  Call *call = (Call *)PyType_GenericAlloc(type, 0); /* all else is 0 */
  if (!call) return NULL;
  call->function = function;
  call->skipped = skipped;
  call->most = most;
  call->point_time = SHORT;
  call->key = key;
  call->name = kept(name);
  call->text = kept(text);
  call->workspaces = kept(workspaces);
  call->pack = kept(pack);
  call->report = kept(reports);
  call->slow = kept(other);
  call->reduce = kept(reduces);
  call->out = options ? PyUnicode_InternFromString("out") : NULL;
  call->threads = options ? PyUnicode_InternFromString("threads") : NULL;
  call->keywords = interned(names);
  PyObject *made = NULL;
  if (call->keywords && (!options || (call->out && call->threads)) && read_ports(call, inputs, outputs)) {
    call->method.ml_name = PyBytes_AsString(name);
    call->method.ml_doc = PyBytes_AsString(text);
    call->method.ml_meth = (PyCFunction)(void (*)(void))run;
    call->method.ml_flags = METH_FASTCALL | METH_KEYWORDS;
    made = PyCFunction_NewEx(&call->method, (PyObject *)call, owner);
  }
  Py_DECREF(call);
  return made;
}

static PyMethodDef methods[] = {
    {"make", make, METH_VARARGS, make_text},
    {NULL, NULL, 0, NULL},
};

static int begin(PyObject *module) {
  if (_import_array() < 0) return -1;
  PyObject *type = PyType_FromModuleAndSpec(module, &call_spec, NULL);
  if (!type) return -1;
  *(PyObject **)PyModule_GetState(module) = type;
  return PyModule_AddIntConstant(module, "INTERFACE", INTERFACE);
}

static int visit_module(PyObject *module, visitproc visit, void *arg) {
  PyObject **type = PyModule_GetState(module);
  if (type) Py_VISIT(*type);
  return 0;
}

static int clear_module(PyObject *module) {
  PyObject **type = PyModule_GetState(module);
  if (type) Py_CLEAR(*type);
  return 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, begin}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_python_call", "Functions of C libraries as functions of Python.", sizeof(PyObject *),
    methods, slots, visit_module, clear_module, NULL,
};

PyMODINIT_FUNC PyInit__python_call(void) { return PyModuleDef_Init(&definition); }
