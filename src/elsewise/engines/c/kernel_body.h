/* The model itself, written once: the file that includes this defines the vector V of 16 floats, and `dots`.

   What keeps the bits the same in every kernel, at every optimisation: each v_ operation is one IEEE operation a lane; a
   multiplication and an addition are fused where v_fma says so and nowhere else (-ffp-contract=off); sums run along k in
   ascending order, or over 16 lanes and then in the tree of `total`. What keeps a text's bits the same among others: a
   row is never computed from another text's row, and how rows are taken together changes the order of no sum. */
#include "native.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define ROUND 12582912.0f /* 1.5 * 2^23: after adding it, the last bit of a float counts ones */
#define ALIGNED 64        /* bytes: a line of the cache */
#define SMALLEST 1e-20f   /* largest activation of a row that is quantised as it is */

/* The sum of 16 lanes: always the same tree. */
static float total(V a) {
    float s[16];
    v_store(s, a);
    for (int half = 8; half; half /= 2)
        for (int i = 0; i < half; i++) s[i] += s[i + half];
    return s[0];
}

static float largest(V a) {
    float s[16];
    v_store(s, a);
    for (int i = 1; i < 16; i++) s[0] = s[i] > s[0] ? s[i] : s[0];
    return s[0];
}

/* e to the power x, of x from -87 to 88: 2^n times a polynomial (Cephes). Smaller ones count as -87. */
INLINE V exponential(V x) {
    x = v_max(x, v_set(-87.0f));
    V t = v_fma(x, v_set(1.44269504f), v_set(ROUND)), n = v_sub(t, v_set(ROUND));
    V r = v_fma(n, v_set(2.12194440e-4f), v_fma(n, v_set(-0.693359375f), x));
    V p = v_set(1.9875691500e-4f);
    p = v_fma(p, r, v_set(1.3981999507e-3f));
    p = v_fma(p, r, v_set(8.3334519073e-3f));
    p = v_fma(p, r, v_set(4.1665795894e-2f));
    p = v_fma(p, r, v_set(1.6666665459e-1f));
    p = v_fma(p, r, v_set(5.0000001201e-1f));
    p = v_add(v_fma(p, v_mul(r, r), r), v_set(1.0f));
    return v_mul(p, v_power_of_two(t));
}

/* x * (1 + erf(x / sqrt 2)) / 2, off by less than 1e-6 for |x| up to 6: erf as a ratio of polynomials, fitted by least
   squares on 0 to 4, beyond which it is 1. */
INLINE V gelu(V x) {
    V z = v_min(v_max(v_mul(x, v_set(0.70710678f)), v_set(-4.0f)), v_set(4.0f)), u = v_mul(z, z);
    V p = v_set(1.974796987269656e-06f), q = v_set(3.748035305761732e-05f);
    p = v_fma(p, u, v_set(0.0002880383690353483f));
    q = v_fma(q, u, v_set(0.0012163509381935f));
    p = v_fma(p, u, v_set(0.004003631416708231f));
    q = v_fma(q, u, v_set(0.01544440072029829f));
    p = v_fma(p, u, v_set(0.053467437624931335f));
    q = v_fma(q, u, v_set(0.11647640913724899f));
    p = v_fma(p, u, v_set(0.19624903798103333f));
    q = v_fma(q, u, v_set(0.5072523355484009f));
    p = v_fma(p, u, v_set(1.128378987312317f));
    q = v_fma(q, u, v_set(1.0f));
    V half = v_mul(x, v_set(0.5f));
    return v_fma(half, v_div(v_mul(z, p), q), half);
}

/* 1 - 2 / (e^2|x| + 1), with the sign of x */
INLINE V tangent(V x) {
    V e = exponential(v_min(v_mul(v_abs(x), v_set(2.0f)), v_set(40.0f)));
    V t = v_sub(v_set(1.0f), v_div(v_set(2.0f), v_add(e, v_set(1.0f))));
    return v_if_negative(x, v_sub(v_set(0.0f), t), t);
}

INLINE V then(const int what, V x, const float *residual) {
    if (what == GELU) return gelu(x);
    if (what == RELU) return v_max(x, v_set(0.0f));
    if (what == TANH) return tangent(x);
    if (what == ADD) return v_add(x, v_load(residual));
    return x;
}

/* Rows of floats as a matrix product reads them: themselves, or in 8 bits with a scale for each row. */
typedef struct {
    const float *x;
    size_t rows;
    size_t width;
    Q *bits;      /* room for all rows */
    float *scale; /* likewise */
} Rows;

static void quantise(Rows *a) {
    for (size_t m = 0; m < a->rows; m++) {
        const float *x = a->x + m * a->width;
        V most = v_set(0.0f);
        for (size_t k = 0; k < a->width; k += LANES) most = v_max(v_abs(v_load(x + k)), most);
        float top = largest(most);
        if (!(top >= SMALLEST)) top = SMALLEST;
        a->scale[m] = top / 127.0f;
        V factor = v_set(127.0f / top);
        for (size_t k = 0; k < a->width; k += LANES)
            v_store_low(a->bits + m * a->width + k, v_fma(v_load(x + k), factor, v_set(ROUND + 128.0f)));
    }
}

/* ---- products: out (rows, outputs) = rows * weights + bias, and what follows ---- */

/* Exact sums of up to INT_ROWS rows with the 64 outputs from n0 on. */
static void int8_sums(int rows, const Linear *w, int32_t n0, const Rows *a, size_t m, int32_t *sums) {
    const int8_t *weights = (const int8_t *)w->weights + (size_t)n0 * (size_t)w->inputs;
    const Q *bits = a->bits + m * a->width;
    if (rows == INT_ROWS) dots(INT_ROWS, bits, a->width, w->inputs, weights, sums);
    else if (INT_ROWS > 4 && rows == 4) dots(INT_ROWS > 4 ? 4 : 1, bits, a->width, w->inputs, weights, sums);
    else if (INT_ROWS > 2 && rows == 2) dots(INT_ROWS > 2 ? 2 : 1, bits, a->width, w->inputs, weights, sums);
    else dots(1, bits, a->width, w->inputs, weights, sums);
}

INLINE void int8_finish(const int what, int rows, const Linear *w, int32_t n0, const Rows *a, size_t m,
                        const int32_t *sums, float *out, const float *residual) {
    int32_t end = w->outputs - n0 < BLOCK ? w->outputs - n0 : BLOCK;
    for (int32_t n = 0; n < end; n += LANES) {
        V scale = v_load(w->scale + n0 + n), bias = v_load(w->bias + n0 + n);
        for (int r = 0; r < rows; r++) {
            size_t to = (m + (size_t)r) * (size_t)w->outputs + (size_t)(n0 + n);
            V sum = v_difference(sums + r * BLOCK + n, w->shift + n0 + n);
            V y = v_fma(sum, v_mul(scale, v_set(a->scale[m + (size_t)r])), bias);
            v_store(out + to, then(what, y, residual + to));
        }
    }
}

INLINE void int8_product(const int what, const Linear *w, const Rows *a, float *out, const float *residual) {
    int32_t sums[INT_ROWS * BLOCK];
    for (int32_t n = 0; n < w->outputs; n += BLOCK)
        for (size_t m = 0; m < a->rows;) {
            size_t left = a->rows - m;
            int rows = left >= INT_ROWS ? INT_ROWS : left >= 4 && INT_ROWS > 4 ? 4 : left >= 2 && INT_ROWS > 2 ? 2 : 1;
            int8_sums(rows, w, n, a, m, sums);
            int8_finish(what, rows, w, n, a, m, sums, out, residual);
            m += (size_t)rows;
        }
}

INLINE void float_sums_of(const int rows, const int groups, const Linear *w, int32_t n0, const Rows *a, size_t m,
                          float *sums) {
    V s[ROWS][GROUPS];
    const float *x = a->x + m * a->width;
    const float *b = (const float *)w->weights + (size_t)(n0 / BLOCK * BLOCK) * (size_t)w->inputs + n0 % BLOCK;
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int z = 0; z < groups; z++) s[r][z] = v_set(0.0f);
    for (int32_t k = 0; k < w->inputs; k++, b += BLOCK) {
        V part[GROUPS];
#pragma GCC unroll 8
        for (int z = 0; z < groups; z++) part[z] = v_load(b + LANES * z);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            V one = v_set(x[(size_t)r * a->width + (size_t)k]);
#pragma GCC unroll 8
            for (int z = 0; z < groups; z++) s[r][z] = v_fma(one, part[z], s[r][z]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int z = 0; z < groups; z++) v_store(sums + (r * GROUPS + z) * LANES, s[r][z]);
}

/* Sums of ROWS rows or one with 16 * GROUPS outputs from n0 on, or with 16. */
static void float_sums(int rows, int groups, const Linear *w, int32_t n0, const Rows *a, size_t m, float *sums) {
    if (rows == ROWS && groups == GROUPS) float_sums_of(ROWS, GROUPS, w, n0, a, m, sums);
    else if (rows == ROWS) float_sums_of(ROWS, 1, w, n0, a, m, sums);
    else if (groups == GROUPS) float_sums_of(1, GROUPS, w, n0, a, m, sums);
    else float_sums_of(1, 1, w, n0, a, m, sums);
}

INLINE void float_product(const int what, const Linear *w, const Rows *a, float *out, const float *residual) {
    float sums[ROWS * GROUPS * LANES];
    for (int32_t n = 0, groups; n < w->outputs; n += LANES * groups) {
        groups = w->outputs - n >= LANES * GROUPS ? GROUPS : 1;
        for (size_t m = 0, rows; m < a->rows; m += rows) {
            rows = a->rows - m >= ROWS ? ROWS : 1;
            float_sums((int)rows, groups, w, n, a, m, sums);
            for (int z = 0; z < groups; z++)
                for (size_t r = 0; r < rows; r++) {
                    size_t to = (m + r) * (size_t)w->outputs + (size_t)(n + LANES * z);
                    V y = v_add(v_load(sums + (r * GROUPS + (size_t)z) * LANES), v_load(w->bias + n + LANES * z));
                    v_store(out + to, then(what, y, residual + to));
                }
        }
    }
}

static void product(const int what, const Linear *w, const Rows *a, float *out, const float *residual) {
#define WITH(kind)                                                       \
    case kind:                                                           \
        if (w->int8) int8_product(kind, w, a, out, residual);            \
        else float_product(kind, w, a, out, residual);                   \
        break
    switch (what) {
        WITH(PLAIN);
        WITH(GELU);
        WITH(RELU);
        WITH(TANH);
        WITH(ADD);
    }
#undef WITH
}

/* ---- the parts of a layer ---- */

/* Rows of `width` floats, of which `used` count, to mean 0 and variance 1, times `gain` plus `bias`, in place. */
static void norm(float *x, size_t rows, int32_t width, int32_t used, const float *gain, const float *bias,
                 float epsilon) {
    const V zero = v_set(0.0f);
    for (size_t m = 0; m < rows; m++, x += width) {
        V sum = zero, squares = zero;
        for (int32_t k = 0; k < used; k += LANES) sum = v_add(sum, v_load(x + k));
        V mean = v_set(total(sum) / (float)used);
        for (int32_t k = 0; k < used; k += LANES) {
            V d = v_sub(v_load(x + k), mean);
            if (used - k < LANES) d = v_first(d, used - k, zero);
            squares = v_fma(d, d, squares);
        }
        V factor = v_set(1.0f / sqrtf(total(squares) / (float)used + epsilon));
        for (int32_t k = 0; k < width; k += LANES) {
            V d = v_mul(v_sub(v_load(x + k), mean), factor);
            V y = v_fma(d, v_load(gain + k), v_load(bias + k)); /* both are 0 where nothing counts */
            v_store(x + k, y);
        }
    }
}

/* What one head sees: its keys, (head, wide), and values, in rows of `stride`, of one text. */
typedef struct {
    const float *keys, *values;
    size_t wide, stride;
    int32_t length, head;
} View;

/* Scores of `rows` queries with 16 * `groups` keys from j on, stored; `most` keeps the largest of each lane. */
INLINE void look_at(const int rows, const int groups, const View *view, const float *query, size_t query_stride,
                    int32_t j, float *scores, V *most) {
    V s[LOOK_ROWS][LOOK_GROUPS];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int z = 0; z < groups; z++) s[r][z] = v_set(0.0f);
    const float *keys = view->keys + j;
    for (int32_t d = 0; d < view->head; d++, keys += view->wide) {
        V key[LOOK_GROUPS];
#pragma GCC unroll 8
        for (int z = 0; z < groups; z++) key[z] = v_load(keys + LANES * z);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            V one = v_set(query[(size_t)r * query_stride + (size_t)d]);
#pragma GCC unroll 8
            for (int z = 0; z < groups; z++) s[r][z] = v_fma(one, key[z], s[r][z]);
        }
    }
#pragma GCC unroll 8
    for (int z = 0; z < groups; z++) {
        int32_t left = view->length - j - LANES * z;
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            v_store(scores + (size_t)r * view->wide + (size_t)(j + LANES * z), s[r][z]);
            if (left < LANES) s[r][z] = v_first(s[r][z], left, most[r]);
            most[r] = v_max(s[r][z], most[r]);
        }
    }
}

/* Values from column d on, summed by the weights of `rows` queries, and scaled by `share`. */
INLINE void take_in(const int rows, const int groups, const View *view, const float *weights, const float *share,
                    int32_t d, float *out, size_t out_stride) {
    V s[LOOK_ROWS][LOOK_GROUPS];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int z = 0; z < groups; z++) s[r][z] = v_set(0.0f);
    const float *values = view->values + d;
    for (int32_t j = 0; j < view->length; j++, values += view->stride) {
        V value[LOOK_GROUPS];
#pragma GCC unroll 8
        for (int z = 0; z < groups; z++) value[z] = v_load(values + LANES * z);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            V one = v_set(weights[(size_t)r * view->wide + (size_t)j]);
#pragma GCC unroll 8
            for (int z = 0; z < groups; z++) s[r][z] = v_fma(one, value[z], s[r][z]);
        }
    }
#pragma GCC unroll 8
    for (int z = 0; z < groups; z++)
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++)
            v_store(out + (size_t)r * out_stride + (size_t)(d + LANES * z), v_mul(s[r][z], v_set(share[r])));
}

/* How one head of `rows` tokens of a text looks at all of its tokens. `stride` is that of queries and of `out`. */
INLINE void look(const int rows, const View *view, const float *query, size_t stride, float *scores, float *out) {
    const int32_t wide = (int32_t)view->wide, step = LANES * LOOK_GROUPS;
    V most[LOOK_ROWS];
    float share[LOOK_ROWS];
    int32_t j = 0, d = 0;
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) most[r] = v_set(-3e38f);
    for (; j + step <= wide; j += step) look_at(rows, LOOK_GROUPS, view, query, stride, j, scores, most);
    for (; j < wide; j += LANES) look_at(rows, 1, view, query, stride, j, scores, most);
    for (int r = 0; r < rows; r++) {
        float *row = scores + (size_t)r * view->wide;
        V top = v_set(largest(most[r])), sum = v_set(0.0f);
        for (j = 0; j < wide; j += LANES) {
            V e = exponential(v_sub(v_load(row + j), top));
            if (view->length - j < LANES) e = v_first(e, view->length - j, v_set(0.0f));
            sum = v_add(sum, e);
            v_store(row + j, e);
        }
        share[r] = 1.0f / total(sum);
    }
    for (; d + step <= view->head; d += step) take_in(rows, LOOK_GROUPS, view, scores, share, d, out, stride);
    for (; d < view->head; d += LANES) take_in(rows, 1, view, scores, share, d, out, stride);
}

/* The memory of one call. */
typedef struct {
    float *x, *y, *query, *key_value, *context, *inner, *keys, *scores, *scale, *pooled;
    Q *bits;
} Room;

/* All heads of one text: `asking` queries, `length` keys and values. */
static void attention(const Model *m, const Room *room, const float *query, int32_t asking, const float *key_value,
                      int32_t length, float *out) {
    const int32_t head = m->shape.head_width;
    const size_t width = (size_t)m->attention, wide = (size_t)padded(length, LANES);
    for (int32_t h = 0; h < m->shape.heads; h++) {
        const float *k = key_value + h * head, *q = query + h * head;
        const View view = {room->keys, k + width, wide, 2 * width, length, head};
        for (int32_t d = 0; d < head; d++)
            for (size_t j = (size_t)length; j < wide; j++) room->keys[(size_t)d * wide + j] = 0.0f;
        for (int32_t j = 0; j < length; j++)
            for (int32_t d = 0; d < head; d++)
                room->keys[(size_t)d * wide + (size_t)j] = k[(size_t)j * 2 * width + (size_t)d];
        int32_t i = 0;
#define LOOK(rows) look(rows, &view, q + (size_t)i * width, width, room->scores, out + (size_t)i * width + h * head)
        for (; i + LOOK_ROWS <= asking; i += LOOK_ROWS) LOOK(LOOK_ROWS);
        for (; i + 2 <= asking; i += 2) LOOK(2);
        if (i < asking) LOOK(1);
#undef LOOK
    }
}

static Rows given(const Room *room, int int8, const float *x, size_t rows, int32_t width) {
    Rows made = {x, rows, (size_t)width, room->bits, room->scale};
    if (int8) quantise(&made);
    return made;
}

/* What follows attention in a layer, for `rows` rows: `context` and the rows that came in -> `out`. */
static void after_attention(const Model *m, const Layer *layer, const Room *room, size_t rows, const float *in,
                            float *out) {
    const Shape *s = &m->shape;
    Rows a = given(room, s->int8, room->context, rows, m->attention);
    product(ADD, &layer->output, &a, room->y, in);
    norm(room->y, rows, m->hidden, s->hidden, layer->norm1, layer->bias1, s->epsilon);
    a = given(room, s->int8, room->y, rows, m->hidden);
    product(GELU, &layer->first, &a, room->inner, room->inner);
    a = given(room, s->int8, room->inner, rows, layer->first.outputs);
    product(ADD, &layer->second, &a, out, room->y);
    norm(out, rows, m->hidden, s->hidden, layer->norm2, layer->bias2, s->epsilon);
}

static void whole_layer(const Model *m, const Layer *layer, const Room *room, const int32_t *lengths, int64_t texts,
                        size_t tokens) {
    Rows a = given(room, m->shape.int8, room->x, tokens, m->hidden);
    product(PLAIN, &layer->query, &a, room->query, room->query);
    product(PLAIN, &layer->key_value, &a, room->key_value, room->key_value);
    size_t at = 0, width = (size_t)m->attention;
    for (int64_t i = 0; i < texts; at += (size_t)lengths[i++])
        attention(m, room, room->query + at * width, lengths[i], room->key_value + 2 * at * width, lengths[i],
                  room->context + at * width);
    after_attention(m, layer, room, tokens, room->x, room->x);
}

/* The last layer where only first tokens are read: keys and values of all tokens, the rest of one for each text. */
static void last_layer(const Model *m, const Layer *layer, const Room *room, const int32_t *lengths, int64_t texts,
                       size_t tokens) {
    size_t at = 0, width = (size_t)m->attention, hidden = (size_t)m->hidden;
    Rows a = given(room, m->shape.int8, room->x, tokens, m->hidden);
    product(PLAIN, &layer->key_value, &a, room->key_value, room->key_value);
    for (int64_t i = 0; i < texts; at += (size_t)lengths[i++])
        memcpy(room->pooled + (size_t)i * hidden, room->x + at * hidden, hidden * sizeof(float));
    a = given(room, m->shape.int8, room->pooled, (size_t)texts, m->hidden);
    product(PLAIN, &layer->query, &a, room->query, room->query);
    at = 0;
    for (int64_t i = 0; i < texts; at += (size_t)lengths[i++])
        attention(m, room, room->query + (size_t)i * width, 1, room->key_value + 2 * at * width, lengths[i],
                  room->context + (size_t)i * width);
    after_attention(m, layer, room, (size_t)texts, room->pooled, room->pooled);
}

static void embed(const Model *m, const Room *room, const int32_t *ids, const int32_t *lengths, int64_t texts) {
    const Shape *s = &m->shape;
    size_t width = (size_t)m->embedding, at = 0;
    float *to = s->projected ? room->y : room->x;
    for (int64_t i = 0; i < texts; i++) {
        int32_t place = s->first_position;
        for (int32_t j = 0; j < lengths[i]; j++, at++) {
            size_t id = (size_t)ids[at], row = (size_t)(ids[at] == s->padding ? s->padding : place++);
            const float *position = m->places + row * width;
            float *x = to + at * width;
            for (size_t k = 0; k < width; k += LANES) {
                V p = v_load(position + k);
                V word = s->int8 ? v_fma(v_of_int8((const int8_t *)m->tokens + id * width + k),
                                         v_set(m->token_scale[id]), p)
                                 : v_add(v_load((const float *)m->tokens + id * width + k), p);
                v_store(x + k, word);
            }
        }
    }
    norm(to, at, m->embedding, s->embedding, m->norm, m->bias, s->epsilon);
    if (s->projected) {
        Rows a = given(room, s->int8, to, at, m->embedding);
        product(PLAIN, &m->project, &a, room->x, room->x);
    }
}

/* The mean of a text's tokens, at length 1. */
static void mean(const Model *m, const Room *room, const int32_t *lengths, int64_t texts) {
    size_t width = (size_t)m->hidden;
    const float *x = room->x;
    float *to = room->pooled;
    for (int64_t i = 0; i < texts; x += (size_t)lengths[i++] * width, to += width) {
        V squares = v_set(0.0f);
        for (size_t k = 0; k < width; k += LANES) {
            V sum = v_set(0.0f);
            for (int32_t j = 0; j < lengths[i]; j++) sum = v_add(sum, v_load(x + (size_t)j * width + k));
            sum = v_div(sum, v_set((float)lengths[i]));
            squares = v_fma(sum, sum, squares);
            v_store(to + k, sum);
        }
        float size = sqrtf(total(squares));
        V by = v_set(size > 1e-12f ? size : 1e-12f);
        for (size_t k = 0; k < width; k += LANES) v_store(to + k, v_div(v_load(to + k), by));
    }
}

static void copy_used(float *to, const float *from, int64_t rows, int32_t used, int32_t width) {
    for (int64_t i = 0; i < rows; i++)
        memcpy(to + (size_t)i * (size_t)used, from + (size_t)i * (size_t)width, (size_t)used * sizeof(float));
}

static void head(const Model *m, const Room *room, int64_t texts, float *logits, float *features) {
    const Shape *s = &m->shape;
    const float *x = room->pooled;
    int32_t used = s->hidden, width = m->hidden;
    if (s->dense) {
        Rows a = given(room, 0, x, (size_t)texts, m->hidden);
        product(s->dense_then, &m->dense, &a, room->y, room->y);
        x = room->y;
        used = s->dense;
        width = m->dense.outputs;
    }
    copy_used(features, x, texts, used, width);
    Rows a = given(room, 0, x, (size_t)texts, width);
    product(PLAIN, &m->classifier, &a, room->x, room->x);
    copy_used(logits, room->x, texts, s->labels, m->classifier.outputs);
}

static size_t most(size_t a, size_t b) { return a > b ? a : b; }

/* Divide one piece of memory; 0 without memory. `longest` is the length of the longest text. */
static int make_room(const Model *m, Room *room, void **memory, size_t tokens, size_t texts, size_t longest) {
    size_t hidden = (size_t)m->hidden, attention_ = (size_t)m->attention;
    size_t inner = (size_t)padded(m->shape.inner, LANES), dense = (size_t)padded(m->shape.dense, LANES);
    size_t labels = (size_t)padded(m->shape.labels, LANES), embedding = (size_t)m->embedding;
    size_t wide = (longest + LANES - 1) / LANES * LANES;
    size_t widest = most(most(hidden, attention_), most(inner, embedding));
    size_t x = most(tokens * hidden, texts * labels), y = most(tokens * most(hidden, embedding), texts * dense);
    size_t floats = x + y + 3 * tokens * attention_ + tokens * attention_ + tokens * inner + texts * hidden +
                    (size_t)m->shape.head_width * wide + LOOK_ROWS * wide + (tokens + LANES) / LANES * LANES;
    *memory = malloc(floats * sizeof(float) + tokens * widest * sizeof(Q) + ALIGNED);
    if (!*memory) return 0;
    float *at = (float *)(((uintptr_t)*memory + ALIGNED - 1) / ALIGNED * ALIGNED);
#define PIECE(name, size) room->name = at, at += (size)
    PIECE(x, x);
    PIECE(y, y);
    PIECE(query, tokens * attention_);
    PIECE(key_value, 2 * tokens * attention_);
    PIECE(context, tokens * attention_);
    PIECE(inner, tokens * inner);
    PIECE(pooled, texts * hidden);
    PIECE(keys, (size_t)m->shape.head_width * wide);
    PIECE(scores, LOOK_ROWS * wide);
    PIECE(scale, (tokens + LANES) / LANES * LANES);
#undef PIECE
    room->bits = (Q *)at;
    return 1;
}

int FORWARD(const void *opened, const int32_t *ids, const int32_t *lengths, int64_t texts, int64_t tokens,
            float *logits, float *features) {
    const Model *m = opened;
    const Shape *s = &m->shape;
    Room room;
    void *memory;
    int32_t longest = 0;
    for (int64_t i = 0; i < texts; i++) longest = lengths[i] > longest ? lengths[i] : longest;
    if (!make_room(m, &room, &memory, (size_t)tokens, (size_t)texts, (size_t)longest)) return NO_MEMORY;
    embed(m, &room, ids, lengths, texts);
    int32_t whole = s->pooling == FIRST_TOKEN ? s->layers - 1 : s->layers;
    for (int32_t l = 0; l < whole; l++) whole_layer(m, m->layer + l, &room, lengths, texts, (size_t)tokens);
    if (s->pooling == FIRST_TOKEN) last_layer(m, m->layer + whole, &room, lengths, texts, (size_t)tokens);
    else mean(m, &room, lengths, texts);
    head(m, &room, texts, logits, features);
    free(memory);
    return DONE;
}
