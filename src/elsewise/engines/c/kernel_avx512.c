/* AVX-512 with VNNI. */
#include <immintrin.h>
#include <stdint.h>

#define FORWARD native_forward_avx512
typedef __m512 V;
typedef uint8_t Q; /* an activation in 8 bits, plus 128 */
enum { ROWS = 6, GROUPS = 4, INT_ROWS = 6, LOOK_ROWS = 6, LOOK_GROUPS = 2 };

static inline V v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void v_store(float *p, V a) { _mm512_storeu_ps(p, a); }
static inline V v_set(float x) { return _mm512_set1_ps(x); }
static inline V v_add(V a, V b) { return _mm512_add_ps(a, b); }
static inline V v_sub(V a, V b) { return _mm512_sub_ps(a, b); }
static inline V v_mul(V a, V b) { return _mm512_mul_ps(a, b); }
static inline V v_div(V a, V b) { return _mm512_div_ps(a, b); }
static inline V v_fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
static inline V v_max(V a, V b) { return _mm512_max_ps(a, b); }
static inline V v_min(V a, V b) { return _mm512_min_ps(a, b); }
static inline V v_abs(V a) { return _mm512_abs_ps(a); }
static inline V v_if_negative(V x, V a, V b) {
    return _mm512_mask_mov_ps(b, _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ), a);
}
static inline V v_first(V a, int n, V b) { return _mm512_mask_mov_ps(b, (__mmask16)((1u << n) - 1u), a); }
static inline V v_power_of_two(V t) {
    __m512i b = _mm512_add_epi32(_mm512_slli_epi32(_mm512_castps_si512(t), 23), _mm512_set1_epi32(0x3f800000));
    return _mm512_castsi512_ps(b);
}
static inline void v_store_low(Q *p, V t) {
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(_mm512_castps_si512(t)));
}
static inline V v_of_int8(const int8_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
static inline V v_difference(const int32_t *a, const int32_t *b) {
    return _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_loadu_si512(a), _mm512_loadu_si512(b)));
}

static inline __attribute__((always_inline)) void dots(const int rows, const Q *a, size_t stride, int inputs,
                                                        const int8_t *w, int32_t *sums) {
    __m512i s[INT_ROWS][4];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int z = 0; z < 4; z++) s[r][z] = _mm512_setzero_si512();
    for (int k = 0; k < inputs; k += 4, w += 256) {
        __m512i b[4];
#pragma GCC unroll 4
        for (int z = 0; z < 4; z++) b[z] = _mm512_loadu_si512(w + 64 * z);
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            int32_t four;
            __builtin_memcpy(&four, a + (size_t)r * stride + k, 4);
            __m512i x = _mm512_set1_epi32(four);
#pragma GCC unroll 4
            for (int z = 0; z < 4; z++) s[r][z] = _mm512_dpbusd_epi32(s[r][z], x, b[z]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int z = 0; z < 4; z++) _mm512_storeu_si512(sums + 64 * r + 16 * z, s[r][z]);
}

#include "kernel_body.h"
