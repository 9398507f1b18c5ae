/* The door of the library: which kernels this processor has, a model put together from checked tensors, and its answers. */
#include "native.h"

#include <fenv.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#ifndef SOURCES
#define SOURCES "unknown"
#endif
#if defined(_WIN32)
#define PUBLIC __declspec(dllexport)
#else
#define PUBLIC __attribute__((visibility("default")))
#endif

enum { KERNEL_PLAIN, KERNEL_AVX2, KERNEL_AVX512, KERNEL_NEON, KERNELS };
enum { HAS_DOT_PRODUCT = 1 << 20 }; /* of Linux, for this processor: HWCAP_ASIMDDP */
enum { MOST = 1 << 21, MOST_WIDE = 1 << 14, MOST_LAYERS = 1 << 10 }; /* no sum of sizes, or of products, runs over */

/* The hash of the sources that this library was compiled from. */
PUBLIC const char *native_sources(void) { return SOURCES; }

/* The kernels that this processor runs and this library holds, a bit each. */
PUBLIC int native_kernels(void) {
    int found = 1 << KERNEL_PLAIN;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found |= 1 << KERNEL_AVX2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni"))
        found |= 1 << KERNEL_AVX512;
#elif defined(__aarch64__) && defined(__linux__)
    if (getauxval(AT_HWCAP) & HAS_DOT_PRODUCT) found |= 1 << KERNEL_NEON;
#elif defined(__aarch64__) && defined(__APPLE__)
    found |= 1 << KERNEL_NEON; /* each of them has it */
#endif
    return found;
}

static Forward kernel(int which) {
    if (which < 0 || which >= KERNELS || !(native_kernels() >> which & 1)) return NULL;
#if defined(__x86_64__)
    if (which == KERNEL_AVX512) return native_forward_avx512;
    if (which == KERNEL_AVX2) return native_forward_avx2;
#elif defined(__aarch64__)
    if (which == KERNEL_NEON) return native_forward_neon;
#endif
    return native_forward_plain;
}

/* The tensors that are handed in, one after the other; `next` is -1 after one that has another size than it must. */
typedef struct {
    const void *const *tensors;
    const uint64_t *bytes;
    int64_t count, next;
    int64_t wrong;
} Tensors;

static const void *take(Tensors *t, uint64_t bytes) {
    if (t->wrong >= 0) return NULL;
    if (t->next >= t->count || t->bytes[t->next] != bytes || !t->tensors[t->next]) {
        t->wrong = t->next;
        return NULL;
    }
    return t->tensors[t->next++];
}

static Linear linear(Tensors *t, int int8, int32_t outputs, int32_t inputs) {
    int32_t wide = padded(inputs, LANES);
    uint64_t rows = (uint64_t)padded(outputs, BLOCK);
    Linear made = {NULL, NULL, NULL, NULL, wide, padded(outputs, LANES), int8};
    made.weights = take(t, rows * (uint64_t)wide * (int8 ? 1 : sizeof(float)));
    if (int8) {
        made.scale = take(t, rows * sizeof(float));
        made.shift = take(t, rows * sizeof(int32_t));
    }
    made.bias = take(t, rows * sizeof(float));
    return made;
}

static const float *vector(Tensors *t, int32_t width) { return take(t, (uint64_t)width * sizeof(float)); }

static int within(int32_t value, int32_t least, int32_t most) { return value >= least && value <= most; }

static int sound(const Shape *s) {
    return within(s->int8, 0, 1) && within(s->vocabulary, 1, MOST) && within(s->positions, 1, MOST) &&
           within(s->first_position, 0, s->positions - 1) && within(s->padding, -1, MOST) &&
           (s->padding < 0 || s->padding + 1 == s->first_position) && within(s->embedding, 1, MOST_WIDE) &&
           within(s->projected, 0, 1) && within(s->hidden, 1, MOST_WIDE) && within(s->inner, 1, MOST_WIDE) &&
           (s->projected || s->embedding == s->hidden) && within(s->layers, 1, MOST_LAYERS) &&
           within(s->heads, 1, MOST_WIDE) && within(s->head_width, LANES, MOST_WIDE) && s->head_width % LANES == 0 &&
           s->heads <= MOST_WIDE / s->head_width && within(s->pooling, FIRST_TOKEN, MEAN) &&
           within(s->dense, 0, MOST_WIDE) && within(s->dense_then, PLAIN, TANH) && within(s->labels, 1, MOST) &&
           s->epsilon > 0 && s->epsilon < 1;
}

PUBLIC void native_close(void *opened) {
    Model *model = opened;
    if (model) free(model->layer);
    free(model);
}

/* Put a model together; NULL, and in `wrong` the number of the tensor at fault, or -1 for the shape, -2 for the kernel
   and -3 for want of memory. The tensors are read in place: they must stay until `native_close`. */
PUBLIC void *native_open(const Shape *shape, const void *const *tensors, const uint64_t *bytes, int64_t count,
                         int which, int64_t *wrong) {
    Tensors t = {tensors, bytes, count, 0, -1};
    const Shape *s = shape;
    *wrong = -1;
    if (!sound(s)) return NULL;
    *wrong = -2;
    if (!kernel(which)) return NULL;
    *wrong = -3;
    Model *m = calloc(1, sizeof *m);
    if (!m) return NULL;
    m->layer = calloc((size_t)s->layers, sizeof *m->layer);
    if (!m->layer) {
        native_close(m);
        return NULL;
    }
    m->shape = *s;
    m->forward = kernel(which);
    m->hidden = padded(s->hidden, LANES);
    m->embedding = padded(s->embedding, LANES);
    m->attention = s->heads * s->head_width;
    uint64_t rows = (uint64_t)padded(s->vocabulary, BLOCK);
    m->tokens = take(&t, rows * (uint64_t)m->embedding * (s->int8 ? 1 : sizeof(float)));
    if (s->int8) m->token_scale = take(&t, rows * sizeof(float));
    m->places = take(&t, (uint64_t)s->positions * (uint64_t)m->embedding * sizeof(float));
    m->norm = vector(&t, m->embedding);
    m->bias = vector(&t, m->embedding);
    if (s->projected) m->project = linear(&t, s->int8, s->hidden, s->embedding);
    for (int32_t l = 0; l < s->layers; l++) {
        Layer *layer = m->layer + l;
        layer->query = linear(&t, s->int8, m->attention, s->hidden);
        layer->key_value = linear(&t, s->int8, 2 * m->attention, s->hidden);
        layer->output = linear(&t, s->int8, s->hidden, m->attention);
        layer->norm1 = vector(&t, m->hidden);
        layer->bias1 = vector(&t, m->hidden);
        layer->first = linear(&t, s->int8, s->inner, s->hidden);
        layer->second = linear(&t, s->int8, s->hidden, s->inner);
        layer->norm2 = vector(&t, m->hidden);
        layer->bias2 = vector(&t, m->hidden);
    }
    if (s->dense) m->dense = linear(&t, 0, s->dense, s->hidden);
    m->classifier = linear(&t, 0, s->labels, s->dense ? s->dense : s->hidden);
    if (t.wrong < 0 && t.next != count) t.wrong = t.next;
    *wrong = t.wrong;
    if (t.wrong >= 0) {
        native_close(m);
        return NULL;
    }
    return m;
}

/* Compute checked texts, turn by turn: those that no other thread with the same `next` has taken. No text's bits depend
   on those beside it. */
static int in_turns(const Model *m, const int32_t *ids, const int32_t *lengths, const int64_t *turns, int64_t count,
                    _Atomic int64_t *next, float *logits, float *features) {
    const Shape *s = &m->shape;
    const int64_t width = s->dense ? s->dense : s->hidden;
    int64_t text = 0, token = 0;
    for (int64_t turn; (turn = atomic_fetch_add(next, 1)) < count;) {
        int64_t from = turn ? turns[turn - 1] : 0, tokens = 0;
        while (text < from) token += lengths[text++];
        for (int64_t i = from; i < turns[turn]; i++) tokens += lengths[i];
        int done = m->forward(m, ids + token, lengths + from, turns[turn] - from, tokens, logits + from * s->labels,
                              features + from * width);
        if (done != DONE) return done;
    }
    return DONE;
}

/* Answer `texts` texts of `lengths` tokens each, one after the other in `ids`, `tokens` in all: logits (texts, labels)
   and features (texts, width of what the last layer reads). Rounding is to nearest, and small numbers are kept,
   whatever another library has set in this thread. The texts are taken in `count` turns, each ending before the text
   that `turns` says; threads that share `next`, which begins at 0, share the turns. */
PUBLIC int native_run(const void *opened, const int32_t *ids, const int32_t *lengths, int64_t texts, int64_t tokens,
                      const int64_t *turns, int64_t count, int64_t *next, float *logits, float *features) {
    const Model *m = opened;
    const Shape *s = &m->shape;
    int64_t at = 0;
    for (int64_t i = 0; i < texts; i++) {
        if (lengths[i] < 1 || lengths[i] > s->positions - s->first_position || lengths[i] > tokens - at)
            return BAD_TOKENS;
        at += lengths[i];
    }
    if (at != tokens) return BAD_TOKENS;
    for (int64_t i = 0; i < tokens; i++)
        if (ids[i] < 0 || ids[i] >= s->vocabulary) return BAD_TOKENS;
    for (int64_t i = 0; i < count; i++)
        if (turns[i] <= (i ? turns[i - 1] : 0) || turns[i] > texts) return BAD_TOKENS;
    fenv_t before;
    fegetenv(&before);
    fesetenv(FE_DFL_ENV);
#if defined(__x86_64__)
    _mm_setcsr(0x1f80);
#endif
    int done = in_turns(m, ids, lengths, turns, count, (_Atomic int64_t *)next, logits, features);
    fesetenv(&before);
    return done;
}
