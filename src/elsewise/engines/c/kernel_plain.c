/* Plain C, for every processor. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#define FORWARD native_forward_plain
typedef struct {
    float at[16];
} V;
typedef uint8_t Q; /* an activation in 8 bits, plus 128 */
enum { ROWS = 4, GROUPS = 1, INT_ROWS = 4, LOOK_ROWS = 4, LOOK_GROUPS = 1 };

#define EACH for (int i = 0; i < 16; i++)
static inline V v_load(const float *p) { V r; memcpy(&r, p, sizeof r); return r; }
static inline void v_store(float *p, V a) { memcpy(p, &a, sizeof a); }
static inline V v_set(float x) { V r; EACH r.at[i] = x; return r; }
static inline V v_add(V a, V b) { EACH a.at[i] += b.at[i]; return a; }
static inline V v_sub(V a, V b) { EACH a.at[i] -= b.at[i]; return a; }
static inline V v_mul(V a, V b) { EACH a.at[i] *= b.at[i]; return a; }
static inline V v_div(V a, V b) { EACH a.at[i] /= b.at[i]; return a; }
static inline V v_fma(V a, V b, V c) { EACH a.at[i] = fmaf(a.at[i], b.at[i], c.at[i]); return a; }
static inline V v_max(V a, V b) { EACH a.at[i] = a.at[i] > b.at[i] ? a.at[i] : b.at[i]; return a; }
static inline V v_min(V a, V b) { EACH a.at[i] = a.at[i] < b.at[i] ? a.at[i] : b.at[i]; return a; }
static inline V v_abs(V a) { EACH a.at[i] = fabsf(a.at[i]); return a; }
/* a where x is negative, b elsewhere */
static inline V v_if_negative(V x, V a, V b) { EACH a.at[i] = x.at[i] < 0 ? a.at[i] : b.at[i]; return a; }
/* the first n lanes of a, and the others of b */
static inline V v_first(V a, int n, V b) { EACH a.at[i] = i < n ? a.at[i] : b.at[i]; return a; }
static inline uint32_t bits_of(float x) { uint32_t b; memcpy(&b, &x, 4); return b; }
/* 2 to the power n, of n + 1.5 * 2^23 */
static inline V v_power_of_two(V t) {
    EACH { uint32_t b = (bits_of(t.at[i]) << 23) + 0x3f800000u; memcpy(&t.at[i], &b, 4); }
    return t;
}
/* the low 8 bits of each lane */
static inline void v_store_low(Q *p, V t) { EACH p[i] = (uint8_t)bits_of(t.at[i]); }
static inline V v_of_int8(const int8_t *p) { V r; EACH r.at[i] = (float)p[i]; return r; }
/* a - b of whole numbers, which may run over, as floats */
static inline V v_difference(const int32_t *a, const int32_t *b) {
    V r;
    EACH {
        uint32_t d = (uint32_t)a[i] - (uint32_t)b[i];
        int32_t s;
        memcpy(&s, &d, 4);
        r.at[i] = (float)s;
    }
    return r;
}

/* exact sums of `rows` rows of activations with 64 rows of weights */
static inline void dots(const int rows, const Q *a, size_t stride, int inputs, const int8_t *w, int32_t *sums) {
    for (int r = 0; r < rows; r++) {
        uint32_t s[64] = {0};
        for (int k = 0; k < inputs; k += 4) {
            const Q *x = a + (size_t)r * stride + k;
            const int8_t *b = w + (size_t)k * 64;
            for (int n = 0; n < 64; n++)
                s[n] += (uint32_t)(x[0] * b[4 * n] + x[1] * b[4 * n + 1] + x[2] * b[4 * n + 2] + x[3] * b[4 * n + 3]);
        }
        memcpy(sums + r * 64, s, sizeof s);
    }
}

#include "kernel_body.h"
