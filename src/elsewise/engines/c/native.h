/* What the parts of the library share: the shape of a model, its tensors in place, and the kernels.

   A kernel is kernel_body.h, compiled with the vector operations of one instruction set. All kernels give the same bits:
   integer sums are exact, and every float operation is an IEEE operation whose order is written down. */
#ifndef ELSEWISE_NATIVE_H
#define ELSEWISE_NATIVE_H

#include <stddef.h>
#include <stdint.h>

enum { LANES = 16, BLOCK = 64 }; /* floats of a vector; outputs of a block of weights */
enum { FIRST_TOKEN, MEAN };      /* pooling */
enum { PLAIN, GELU, RELU, TANH, ADD }; /* what follows a matrix product; ADD adds a residual */
enum { DONE = 0, BAD_TOKENS = -1, NO_MEMORY = -2 };

/* All that a model is besides its numbers. `native_model.py` fills it in the same order. */
typedef struct {
    int32_t int8;           /* weights and activations in 8 bits, or float32 */
    int32_t vocabulary;     /* rows of the table of tokens, which is padded to BLOCK */
    int32_t positions;      /* rows of the table of positions */
    int32_t first_position; /* of the first token: 0, or after the padding's */
    int32_t padding;        /* the token whose position is not counted; -1 for none */
    int32_t embedding;      /* width of both tables */
    int32_t projected;      /* whether a layer follows that makes `hidden` of it */
    int32_t hidden;
    int32_t inner;          /* width between the two products of a layer */
    int32_t layers;
    int32_t heads;
    int32_t head_width;     /* padded to LANES */
    int32_t pooling;
    int32_t dense;          /* width of the dense layer of the head; 0 for none */
    int32_t dense_then;     /* PLAIN, GELU, RELU or TANH */
    int32_t labels;
    float epsilon;          /* of layer norm */
} Shape;

/* A matrix of weights, (outputs, inputs), packed in blocks of 64 outputs, and padded with zeros.
   int8: [block][inputs / 4][64][4]; float32: [block][inputs][64]. */
typedef struct {
    const void *weights;
    const float *scale;   /* of an output; int8 only */
    const int32_t *shift; /* 128 * the sum of an output's weights, since activations are stored plus 128; int8 only */
    const float *bias;
    int32_t inputs, outputs; /* padded to LANES */
    int32_t int8;
} Linear;

typedef struct {
    Linear query, key_value, output, first, second;
    const float *norm1, *bias1, *norm2, *bias2;
} Layer;

typedef int (*Forward)(const void *model, const int32_t *ids, const int32_t *lengths, int64_t texts, int64_t tokens,
                       float *logits, float *features);

typedef struct {
    Shape shape;
    int32_t hidden, embedding, attention; /* padded to LANES; all heads together */
    const void *tokens;                   /* int8 or float32 */
    const float *token_scale;             /* int8 only */
    const float *places;                  /* (positions, embedding): positions, with the one type of token added */
    const float *norm, *bias;
    Linear project, dense, classifier;
    Layer *layer;
    Forward forward;
} Model;

static inline int32_t padded(int32_t n, int32_t to) { return (n + to - 1) / to * to; }

int native_forward_plain(const void *, const int32_t *, const int32_t *, int64_t, int64_t, float *, float *);
int native_forward_avx2(const void *, const int32_t *, const int32_t *, int64_t, int64_t, float *, float *);
int native_forward_neon(const void *, const int32_t *, const int32_t *, int64_t, int64_t, float *, float *);
int native_forward_avx512(const void *, const int32_t *, const int32_t *, int64_t, int64_t, float *, float *);

#endif
