/* Loads a SavedModel through TensorFlow's C API, asks it about one image file, prints the label. */
#include <stdio.h>
#include <stdlib.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

static void check(TF_Status* status) {
  if (TF_GetCode(status) == TF_OK) return;
  fprintf(stderr, "%s\n", TF_Message(status));
  exit(1);
}

static void release(void* data, size_t length, void* argument) {
  TF_StringDealloc((TF_TString*)data);
  free(data);
}

/* Usage: ask SAVED_MODEL IMAGE INPUT_OPERATION OUTPUT_OPERATION OUTPUT_INDEX */
int main(int count, char** arguments) {
  FILE* file = fopen(arguments[2], "rb");
  if (count != 6 || !file) return 2;
  fseek(file, 0, SEEK_END);
  size_t length = ftell(file);
  rewind(file);
  char* bytes = malloc(length);
  if (fread(bytes, 1, length, file) != length) return 2;
  fclose(file);

  TF_Status* status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  TF_SessionOptions* options = TF_NewSessionOptions();
  const char* tag = "serve";
  TF_Session* session =
      TF_LoadSessionFromSavedModel(options, NULL, arguments[1], &tag, 1, graph, NULL, status);
  check(status);

  TF_TString* image = malloc(sizeof(TF_TString));
  TF_StringInit(image);
  TF_StringCopy(image, bytes, length);
  int64_t batch = 1;
  TF_Tensor* asked = TF_NewTensor(TF_STRING, &batch, 1, image, sizeof(TF_TString), release, NULL);
  TF_Output input = {TF_GraphOperationByName(graph, arguments[3]), 0};
  TF_Output output = {TF_GraphOperationByName(graph, arguments[4]), atoi(arguments[5])};
  TF_Tensor* answer = NULL;
  TF_SessionRun(session, NULL, &input, &asked, 1, &output, &answer, 1, NULL, 0, NULL, status);
  check(status);

  const TF_TString* label = TF_TensorData(answer);
  printf("%.*s\n", (int)TF_StringGetSize(label), TF_StringGetDataPointer(label));

  TF_DeleteTensor(answer);
  TF_DeleteTensor(asked);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  free(bytes);
  return 0;
}
