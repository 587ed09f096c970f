/* tensorflow_client.c: runs a SavedModel's function, or a frozen graph, through TensorFlow's C API.
 *
 *   tensorflow_client MODEL REPEAT INPUT... OUTPUT...
 *   MODEL   a SavedModel folder, or a frozen GraphDef ending in .pb
 *   INPUT   in:OPERATION:INDEX:DTYPE:D0,D1,...:FILE    DTYPE float or double, FILE raw numbers
 *   OUTPUT  out:OPERATION:INDEX:FILE
 *
 * Runs once and writes the outputs; then, for REPEAT > 0, prints the median time of a call in microseconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tensorflow/c/c_api.h"

#define MOST 8

static void stop_at(const TF_Status *status, const char *doing) {
  if (TF_GetCode(status) == TF_OK) return;
  fprintf(stderr, "%s: %s\n", doing, TF_Message(status));
  exit(1);
}

static void *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  void *data;
  if (file == NULL) {
    perror(path);
    exit(1);
  }
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  data = malloc(*size + 1);
  if (data == NULL || fread(data, 1, *size, file) != *size) {
    fprintf(stderr, "can't read %s\n", path);
    exit(1);
  }
  fclose(file);
  return data;
}

static TF_Session *open_model(const char *path, TF_Graph *graph, TF_Status *status) {
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *tags[] = {"serve"};
  const size_t length = strlen(path);
  TF_Session *session;
  if (length > 3 && strcmp(path + length - 3, ".pb") == 0) {
    TF_Buffer *buffer = TF_NewBuffer();
    TF_ImportGraphDefOptions *import = TF_NewImportGraphDefOptions();
    size_t size;
    buffer->data = read_file(path, &size);
    buffer->length = size;
    TF_GraphImportGraphDef(graph, buffer, import, status);
    stop_at(status, "import");
    session = TF_NewSession(graph, options, status);
  } else {
    session = TF_LoadSessionFromSavedModel(options, NULL, path, tags, 1, graph, NULL, status);
  }
  stop_at(status, "load");
  return session;
}

static TF_Output find(TF_Graph *graph, const char *name, int index) {
  TF_Output output;
  output.oper = TF_GraphOperationByName(graph, name);
  output.index = index;
  if (output.oper == NULL) {
    fprintf(stderr, "no operation %s\n", name);
    exit(1);
  }
  return output;
}

static TF_Tensor *read_tensor(const char *dtype, char *shape, const char *path) {
  int64_t dims[MOST];
  int rank = 0;
  size_t size;
  char *part;
  void *data = read_file(path, &size);
  TF_Tensor *tensor;
  for (part = strtok(shape, ","); part != NULL && rank < MOST; part = strtok(NULL, ",")) dims[rank++] = atoll(part);
  tensor = TF_AllocateTensor(strcmp(dtype, "double") == 0 ? TF_DOUBLE : TF_FLOAT, dims, rank, size);
  memcpy(TF_TensorData(tensor), data, size);
  free(data);
  return tensor;
}

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double now(void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

int main(int argc, char **argv) {
  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_Output inputs[MOST], outputs[MOST];
  TF_Tensor *given[MOST], *results[MOST];
  const char *files[MOST];
  TF_Session *session;
  int num_inputs = 0, num_outputs = 0, repeat, i, r;
  double *times;
  if (argc < 5) return 2;
  session = open_model(argv[1], graph, status);
  repeat = atoi(argv[2]);
  for (i = 3; i < argc && num_inputs < MOST && num_outputs < MOST; ++i) {
    char way[8], name[256], dtype[16], shape[64], path[1024];
    int index;
    if (sscanf(argv[i], "%7[^:]:%255[^:]:%d:%15[^:]:%63[^:]:%1023s", way, name, &index, dtype, shape, path) == 6) {
      inputs[num_inputs] = find(graph, name, index);
      given[num_inputs++] = read_tensor(dtype, shape, path);
    } else if (sscanf(argv[i], "%7[^:]:%255[^:]:%d:", way, name, &index) == 3) {
      outputs[num_outputs] = find(graph, name, index);
      files[num_outputs++] = strrchr(argv[i], ':') + 1;
    } else {
      return 2;
    }
  }
  TF_SessionRun(session, NULL, inputs, given, num_inputs, outputs, results, num_outputs, NULL, 0, NULL, status);
  stop_at(status, "run");
  for (i = 0; i < num_outputs; ++i) {
    FILE *file = fopen(files[i], "wb");
    if (file == NULL || fwrite(TF_TensorData(results[i]), 1, TF_TensorByteSize(results[i]), file) != TF_TensorByteSize(results[i])) return 1;
    fclose(file);
    TF_DeleteTensor(results[i]);
  }
  times = malloc(sizeof(double) * (size_t)(repeat + 1));
  for (r = 0; r < repeat; ++r) {
    const double start = now();
    TF_SessionRun(session, NULL, inputs, given, num_inputs, outputs, results, num_outputs, NULL, 0, NULL, status);
    times[r] = now() - start;
    for (i = 0; i < num_outputs; ++i) TF_DeleteTensor(results[i]);
  }
  if (repeat > 0) {
    qsort(times, (size_t)repeat, sizeof times[0], compare);
    printf("%.3f\n", times[repeat / 2]);
  }
  TF_CloseSession(session, status);
  return 0;
}
