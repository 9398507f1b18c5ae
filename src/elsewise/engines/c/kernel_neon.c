/* NEON with the dot product of bytes (ARMv8.2): activations are kept without the 128, as that product wants them. */
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#define FORWARD native_forward_neon
typedef struct {
    float32x4_t part[4];
} V;
typedef int8_t Q; /* an activation in 8 bits */
enum { ROWS = 4, GROUPS = 1, INT_ROWS = 4, LOOK_ROWS = 4, LOOK_GROUPS = 1 };

#define EACH for (int i = 0; i < 4; i++)
static inline V v_load(const float *p) { V r; EACH r.part[i] = vld1q_f32(p + 4 * i); return r; }
static inline void v_store(float *p, V a) { EACH vst1q_f32(p + 4 * i, a.part[i]); }
static inline V v_set(float x) { V r; EACH r.part[i] = vdupq_n_f32(x); return r; }
static inline V v_add(V a, V b) { EACH a.part[i] = vaddq_f32(a.part[i], b.part[i]); return a; }
static inline V v_sub(V a, V b) { EACH a.part[i] = vsubq_f32(a.part[i], b.part[i]); return a; }
static inline V v_mul(V a, V b) { EACH a.part[i] = vmulq_f32(a.part[i], b.part[i]); return a; }
static inline V v_div(V a, V b) { EACH a.part[i] = vdivq_f32(a.part[i], b.part[i]); return a; }
static inline V v_fma(V a, V b, V c) { EACH c.part[i] = vfmaq_f32(c.part[i], a.part[i], b.part[i]); return c; }
/* b where the comparison does not hold, as on x86; vmaxq_f32 differs for what is no number */
static inline V v_max(V a, V b) {
    EACH b.part[i] = vbslq_f32(vcgtq_f32(a.part[i], b.part[i]), a.part[i], b.part[i]);
    return b;
}
static inline V v_min(V a, V b) {
    EACH b.part[i] = vbslq_f32(vcltq_f32(a.part[i], b.part[i]), a.part[i], b.part[i]);
    return b;
}
static inline V v_abs(V a) { EACH a.part[i] = vabsq_f32(a.part[i]); return a; }
static inline V v_if_negative(V x, V a, V b) {
    EACH b.part[i] = vbslq_f32(vcltzq_f32(x.part[i]), a.part[i], b.part[i]);
    return b;
}
static inline V v_first(V a, int n, V b) {
    static const int32_t lanes[4] = {0, 1, 2, 3};
    EACH {
        uint32x4_t is_first = vcltq_s32(vld1q_s32(lanes), vdupq_n_s32(n - 4 * i));
        b.part[i] = vbslq_f32(is_first, a.part[i], b.part[i]);
    }
    return b;
}
static inline V v_power_of_two(V t) {
    EACH t.part[i] = vreinterpretq_f32_s32(
        vaddq_s32(vshlq_n_s32(vreinterpretq_s32_f32(t.part[i]), 23), vdupq_n_s32(0x3f800000)));
    return t;
}
static inline void v_store_low(Q *p, V t) { /* the low 8 bits of each lane, less 128 */
    uint8x8_t half[2];
    for (int i = 0; i < 2; i++)
        half[i] = vmovn_u16(vcombine_u16(vmovn_u32(vreinterpretq_u32_f32(t.part[2 * i])),
                                         vmovn_u32(vreinterpretq_u32_f32(t.part[2 * i + 1]))));
    vst1q_s8(p, vreinterpretq_s8_u8(veorq_u8(vcombine_u8(half[0], half[1]), vdupq_n_u8(128))));
}
static inline V v_of_int8(const int8_t *p) {
    V r;
    int8x16_t bytes = vld1q_s8(p);
    int16x8_t wide[2] = {vmovl_s8(vget_low_s8(bytes)), vmovl_s8(vget_high_s8(bytes))};
    for (int i = 0; i < 2; i++) {
        r.part[2 * i] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide[i])));
        r.part[2 * i + 1] = vcvtq_f32_s32(vmovl_s16(vget_high_s16(wide[i])));
    }
    return r;
}
/* the sums: without the 128 there is nothing to take off, and whole numbers that run over are the same ones */
static inline V v_difference(const int32_t *a, const int32_t *b) {
    V r;
    (void)b;
    EACH r.part[i] = vcvtq_f32_s32(vld1q_s32(a + 4 * i));
    return r;
}

static inline __attribute__((always_inline)) void dots(const int rows, const Q *a, size_t stride, int inputs,
                                                        const int8_t *w, int32_t *sums) {
    for (int n = 0; n < 64; n += 16) { /* 16 outputs: 4 vectors, each of 4 outputs */
        int32x4_t s[INT_ROWS][4];
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (int z = 0; z < 4; z++) s[r][z] = vdupq_n_s32(0);
        for (int k = 0; k < inputs; k += 16) {
            int8x16_t x[INT_ROWS];
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++) x[r] = vld1q_s8(a + (size_t)r * stride + k);
#define FOUR_INPUTS(lane)                                                                   \
    {                                                                                       \
        const int8_t *b = w + (size_t)(k + 4 * lane) * 64 + n * 4;                          \
        for (int z = 0; z < 4; z++) {                                                       \
            int8x16_t four = vld1q_s8(b + 16 * z);                                          \
            for (int r = 0; r < rows; r++)                                                  \
                s[r][z] = vdotq_laneq_s32(s[r][z], four, x[r], lane);                       \
        }                                                                                   \
    }
            FOUR_INPUTS(0)
            FOUR_INPUTS(1)
            FOUR_INPUTS(2)
            FOUR_INPUTS(3)
#undef FOUR_INPUTS
        }
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (int z = 0; z < 4; z++) vst1q_s32(sums + 64 * r + n + 4 * z, s[r][z]);
    }
}

#include "kernel_body.h"
