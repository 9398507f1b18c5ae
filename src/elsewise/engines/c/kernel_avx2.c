/* AVX2 with FMA. Products of 8 bits are summed in 32: the instruction that sums them in 16 would cut large sums off. */
#include <immintrin.h>
#include <stdint.h>

#define FORWARD native_forward_avx2
typedef struct {
    __m256 low, high;
} V;
typedef int16_t Q; /* an activation in 8 bits, plus 128, in the width that is multiplied */
enum { ROWS = 4, GROUPS = 1, INT_ROWS = 2, LOOK_ROWS = 4, LOOK_GROUPS = 1 };

static inline V v_of(__m256 low, __m256 high) { V r = {low, high}; return r; }
static inline V v_load(const float *p) { return v_of(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)); }
static inline void v_store(float *p, V a) { _mm256_storeu_ps(p, a.low); _mm256_storeu_ps(p + 8, a.high); }
static inline V v_set(float x) { return v_of(_mm256_set1_ps(x), _mm256_set1_ps(x)); }
static inline V v_add(V a, V b) { return v_of(_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)); }
static inline V v_sub(V a, V b) { return v_of(_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)); }
static inline V v_mul(V a, V b) { return v_of(_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)); }
static inline V v_div(V a, V b) { return v_of(_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)); }
static inline V v_fma(V a, V b, V c) {
    return v_of(_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high));
}
static inline V v_max(V a, V b) { return v_of(_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)); }
static inline V v_min(V a, V b) { return v_of(_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)); }
static inline V v_abs(V a) {
    __m256 sign = _mm256_set1_ps(-0.0f);
    return v_of(_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high));
}
static inline V v_if_negative(V x, V a, V b) {
    __m256 zero = _mm256_setzero_ps();
    return v_of(_mm256_blendv_ps(b.low, a.low, _mm256_cmp_ps(x.low, zero, _CMP_LT_OQ)),
                _mm256_blendv_ps(b.high, a.high, _mm256_cmp_ps(x.high, zero, _CMP_LT_OQ)));
}
static inline V v_first(V a, int n, V b) {
    __m256i which = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), end = _mm256_set1_epi32(n);
    __m256 low = _mm256_castsi256_ps(_mm256_cmpgt_epi32(end, which));
    __m256 high = _mm256_castsi256_ps(_mm256_cmpgt_epi32(end, _mm256_add_epi32(which, _mm256_set1_epi32(8))));
    return v_of(_mm256_blendv_ps(b.low, a.low, low), _mm256_blendv_ps(b.high, a.high, high));
}
static inline __m256 power_of_two(__m256 t) {
    __m256i b = _mm256_add_epi32(_mm256_slli_epi32(_mm256_castps_si256(t), 23), _mm256_set1_epi32(0x3f800000));
    return _mm256_castsi256_ps(b);
}
static inline V v_power_of_two(V t) { return v_of(power_of_two(t.low), power_of_two(t.high)); }
static inline void v_store_low(Q *p, V t) {
    __m256i byte = _mm256_set1_epi32(255);
    __m256i both = _mm256_packus_epi32(_mm256_and_si256(_mm256_castps_si256(t.low), byte),
                                       _mm256_and_si256(_mm256_castps_si256(t.high), byte));
    _mm256_storeu_si256((__m256i *)p, _mm256_permute4x64_epi64(both, 0xd8));
}
static inline V v_of_int8(const int8_t *p) {
    return v_of(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p))),
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(p + 8)))));
}
static inline __m256 difference(const int32_t *a, const int32_t *b) {
    return _mm256_cvtepi32_ps(
        _mm256_sub_epi32(_mm256_loadu_si256((const __m256i *)a), _mm256_loadu_si256((const __m256i *)b)));
}
static inline V v_difference(const int32_t *a, const int32_t *b) {
    return v_of(difference(a, b), difference(a + 8, b + 8));
}

static inline __attribute__((always_inline)) void dots(const int rows, const Q *a, size_t stride, int inputs,
                                                        const int8_t *w, int32_t *sums) {
    for (int n = 0; n < 64; n += 16) { /* 16 outputs: 4 vectors, each of 4 outputs with 2 sums */
        __m256i s[INT_ROWS][4];
#pragma GCC unroll 2
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (int z = 0; z < 4; z++) s[r][z] = _mm256_setzero_si256();
        for (int k = 0; k < inputs; k += 4) {
            const int8_t *b = w + (size_t)k * 64 + n * 4;
            __m256i x[INT_ROWS];
#pragma GCC unroll 2
            for (int r = 0; r < rows; r++) {
                int64_t four;
                __builtin_memcpy(&four, a + (size_t)r * stride + k, 8);
                x[r] = _mm256_set1_epi64x(four);
            }
#pragma GCC unroll 4
            for (int z = 0; z < 4; z++) {
                __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(b + 16 * z)));
#pragma GCC unroll 2
                for (int r = 0; r < rows; r++)
                    s[r][z] = _mm256_add_epi32(s[r][z], _mm256_madd_epi16(x[r], wide));
            }
        }
#pragma GCC unroll 2
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
            for (int z = 0; z < 4; z += 2) {
                __m256i both = _mm256_permute4x64_epi64(_mm256_hadd_epi32(s[r][z], s[r][z + 1]), 0xd8);
                _mm256_storeu_si256((__m256i *)(sums + 64 * r + n + 4 * z), both);
            }
    }
}

#include "kernel_body.h"
