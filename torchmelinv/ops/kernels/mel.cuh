// The pull towards a mel (joint/mel_target.py) on the two frames of a pair: pieces between barriers.
//
// With s what the filterbank sees of each bin, one sweep is
//     r_j = min(m_j / (Ms)_j, most),    g_k = Σ_j spread_kj r_j,    s_k ← s_k g_k,
// first over bands (`mel_ratios`), then, behind a barrier, over bins (`mel_factor`), behind another barrier again. Beyond the
// last band there is one more, which has what it should: its ratio is 1 in frames that are not silent. Both frames of a pair, .x
// and .y, go through together and so share every load of a weight. Sums have an order that nothing but the tables decides.
#pragma once
#include "device.cuh"
#include "spectrum.cuh"

struct MelTables {
    const int4* rows;      // of each band: bytes to its first bin and to its first weight; how many times MEL_AT_ONCE bins
    const float* weights;  // rows of the bands, one after the other
    const int* band;       // of each bin: the lower one of its two bands
    const float2* spread;  // what the ratios of that band and of the next count for
};

constexpr int MEL_AT_ONCE = 4;  // bins of a thread at once, as in ops/mel_pull.py

// s of a bin from |c|².
__device__ __forceinline__ float mel_seen(float squared, float offset, float floor, float power) {
    squared = fmaxf(squared + offset, fmaxf(floor, TINY));  // so that there is a root of it
    return power == 2.f ? squared : power == 1.f ? squared * rsqrtf(squared) : powf(squared, 0.5f * power);
}

// What c is multiplied by, from the product of all sweeps' g.
__device__ __forceinline__ float mel_gain(float product, float exponent, float most) {
    const float root = exponent == 1.f     ? product
                       : exponent == 0.5f ? product * rsqrtf(fmaxf(product, TINY))
                                           : powf(product, exponent);
    return fminf(root, most);
}

// ratio[j] = min(m_j / max((Ms)_j, faintest), most) for all bands, from `seen` and `wanted` by TOGETHER threads, of which this is
// `thread`: LANES_OF_BAND of them add up one band (TOGETHER is a multiple of that, and every thread of a warp calls). A band has
// at least one step of theirs; first bins are even, so that two are loaded at once.
template <int LANES_OF_BAND, int TOGETHER>
__device__ __forceinline__ void mel_ratios(
    const MelTables& mel, int n_mels, const float2* seen, const float2* wanted, float2* ratio, float faintest, float most,
    unsigned thread
) {
    constexpr int AT_ONCE = TOGETHER / LANES_OF_BAND;  // bands
    const int lane = thread % LANES_OF_BAND, of_thread = thread / LANES_OF_BAND;
    const char* const bins_of_lane = (const char*)(seen + lane * MEL_AT_ONCE);
    const char* const weights_of_lane = (const char*)(mel.weights + lane * MEL_AT_ONCE);
    auto divide = [&](int j, int frame, float sum) {
        (&ratio[j].x)[frame] = fminf(__fdividef((&wanted[j].x)[frame], fmaxf(sum, faintest)), most);
    };
#pragma unroll
    for (int base = 0; base < n_mels; base += AT_ONCE) {
        const int j = base + of_thread;
        const bool mine = base + AT_ONCE <= n_mels || j < n_mels;
        float2 sum = make_float2(0.f, 0.f);
        if (mine) {
            const int4 row = __ldg(mel.rows + j);
            const float4* bins = (const float4*)(bins_of_lane + row.x);
            const float4* weights = (const float4*)(weights_of_lane + (unsigned)row.y);
#pragma unroll 1
            for (int left = row.z;;) {
                const float4 weight = __ldg(weights), low = bins[0], high = bins[1];
                sum.x = fmaf(weight.x, low.x, sum.x), sum.y = fmaf(weight.x, low.y, sum.y);
                sum.x = fmaf(weight.y, low.z, sum.x), sum.y = fmaf(weight.y, low.w, sum.y);
                sum.x = fmaf(weight.z, high.x, sum.x), sum.y = fmaf(weight.z, high.y, sum.y);
                sum.x = fmaf(weight.w, high.z, sum.x), sum.y = fmaf(weight.w, high.w, sum.y);
                left -= LANES_OF_BAND;
                if (left <= 0) break;
                bins += LANES_OF_BAND * MEL_AT_ONCE / 2, weights += LANES_OF_BAND;
            }
        }
        if constexpr (LANES_OF_BAND == 1) {
            if (mine) divide(j, 0, sum.x), divide(j, 1, sum.y);
        } else {  // even lanes go on with the first frame, odd ones with the second
            const bool second = lane % 2;
            float own = second ? sum.y : sum.x;
            own += __shfl_xor_sync(0xffffffffu, second ? sum.x : sum.y, 1);
#pragma unroll
            for (int reach = 2; reach < LANES_OF_BAND; reach *= 2) own += __shfl_xor_sync(0xffffffffu, own, reach);
            if (mine && lane < 2) divide(j, lane, own);
        }
    }
}

// The ratio of the band beyond the last, which is 0 before: whoever meets a value of a frame makes it 1.
__device__ __forceinline__ void mel_hears(float2 wanted, float2* beyond) {
    if (wanted.x != 0.f) beyond->x = 1.f;
    if (wanted.y != 0.f) beyond->y = 1.f;
}

// g of a bin: what a sweep multiplies s by. `low` are the ratios of the bin's lower band, followed by those of the next.
__device__ __forceinline__ float2 mel_factor(float2 spread, const float2* low) {
    const float2 lower = low[0], upper = low[1];
    return make_float2(fmaf(spread.x, lower.x, spread.y * upper.x), fmaf(spread.x, lower.y, spread.y * upper.y));
}
