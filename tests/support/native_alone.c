/* The native engine without Python, for a processor that is emulated: a model and texts from stdin, answers to stdout. */
#include "native.h"

#include <stdio.h>
#include <stdlib.h>

void *native_open(const Shape *, const void *const *, const uint64_t *, int64_t, int, int64_t *);
int native_run(const void *, const int32_t *, const int32_t *, int64_t, int64_t, const int64_t *, int64_t, int64_t *,
               float *, float *);
int native_kernels(void);

static void *taken(size_t bytes) {
    void *made = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!made || fread(made, 1, bytes, stdin) != bytes) exit(3);
    return made;
}

int main(void) {
    int64_t *head = taken(5 * sizeof(int64_t)); /* kernel, tensors, texts, tokens, floats of an answer */
    int64_t which = head[0], count = head[1], texts = head[2], tokens = head[3], width = head[4], wrong = 0;
    Shape *shape = taken(sizeof(Shape));
    uint64_t *bytes = taken((size_t)count * sizeof(uint64_t));
    const void **tensors = malloc((size_t)count * sizeof(void *));
    for (int64_t i = 0; i < count; i++) tensors[i] = taken(bytes[i]);
    int32_t *lengths = taken((size_t)texts * sizeof(int32_t)), *ids = taken((size_t)tokens * sizeof(int32_t));
    if (!(native_kernels() >> which & 1)) return 4;
    void *model = native_open(shape, tensors, bytes, count, (int)which, &wrong);
    if (!model) return 5;
    float *logits = malloc((size_t)(texts * shape->labels) * sizeof(float));
    float *features = malloc((size_t)(texts * width) * sizeof(float));
    int64_t *turns = malloc((size_t)texts * sizeof(int64_t)), next = 0;
    for (int64_t i = 0; i < texts; i++) turns[i] = i + 1; /* each text by itself */
    if (native_run(model, ids, lengths, texts, tokens, turns, texts, &next, logits, features)) return 6;
    fwrite(logits, sizeof(float), (size_t)(texts * shape->labels), stdout);
    fwrite(features, sizeof(float), (size_t)(texts * width), stdout);
    return 0;
}
