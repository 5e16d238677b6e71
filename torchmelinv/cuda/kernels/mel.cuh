// Multiplicative updates toward a mel (phase/mel_target.py) of the two frames of a pair: the parts
// between barriers.
//
// With s the filterbank input of each bin, one update is
//     r_j = min(m_j / (Ms)_j, largest),    g_k = Σ_j shares_kj r_j,    s_k ← s_k g_k,
// first over bands (`mel_ratios`), then, after a barrier, over bins (`update_gain`), followed by
// another barrier. After the last band comes one more for the free part of the bins: its ratio is 1
// in frames that are not silent. Both frames of a pair, .x and .y, are computed together and share
// each load of a weight. The order of all sums depends only on the tables.
#pragma once
#include "device.cuh"
#include "spectrum.cuh"

struct MelTables {
    // Of each band: bytes to its first bin and to its first weight; number of loads.
    const int4* rows;
    const float* weights;   // rows of the bands, concatenated
    const int* lower_band;  // of each bin: the lower one of its two bands
    const float2* shares;   // of each bin: weight of the ratio of that band and of the next band
};

constexpr int BINS_PER_LOAD = 4;  // as in cuda/mel_update.py

// The filterbank input s of a bin, from |c|².
__device__ __forceinline__ float filterbank_input(
    float squared, float offset, float floor, float power
) {
    squared = fmaxf(squared + offset, fmaxf(floor, TINY));  // so that the root exists
    return power == 2.f   ? squared
           : power == 1.f ? squared * rsqrtf(squared)
                          : powf(squared, 0.5f * power);
}

// The factor of c, from the product of the g of all updates.
__device__ __forceinline__ float spectrum_gain(float product, float exponent, float largest) {
    const float root = exponent == 1.f    ? product
                       : exponent == 0.5f ? product * rsqrtf(fmaxf(product, TINY))
                                          : powf(product, exponent);
    return fminf(root, largest);
}

// Computes ratio[j] = min(m_j / max((Ms)_j, smallest_mel), largest) for all bands, from s (`input`)
// and m (`target`), by N_THREADS threads; `thread` is the number of this one. LANES_PER_BAND
// threads sum one band; N_THREADS is a multiple of it, and all threads of a warp must call. A band
// has at least one load for each of its lanes. First bins are even, so that two are loaded at once.
template <int LANES_PER_BAND, int N_THREADS>
__device__ __forceinline__ void mel_ratios(
    const MelTables& mel, int n_mels, const float2* input, const float2* target, float2* ratio,
    float smallest_mel, float largest, unsigned thread
) {
    constexpr int BANDS_AT_ONCE = N_THREADS / LANES_PER_BAND;
    const int lane = thread % LANES_PER_BAND, first_band = thread / LANES_PER_BAND;
    const char* const bins_of_lane = (const char*)(input + lane * BINS_PER_LOAD);
    const char* const weights_of_lane = (const char*)(mel.weights + lane * BINS_PER_LOAD);
    auto divide = [&](int j, int frame, float sum) {
        (&ratio[j].x)[frame] =
            fminf(__fdividef((&target[j].x)[frame], fmaxf(sum, smallest_mel)), largest);
    };
#pragma unroll
    for (int base = 0; base < n_mels; base += BANDS_AT_ONCE) {
        const int j = base + first_band;
        const bool in_range = base + BANDS_AT_ONCE <= n_mels || j < n_mels;
        float2 sum = make_float2(0.f, 0.f);
        if (in_range) {
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
                left -= LANES_PER_BAND;
                if (left <= 0) break;
                bins += LANES_PER_BAND * BINS_PER_LOAD / 2, weights += LANES_PER_BAND;
            }
        }
        if constexpr (LANES_PER_BAND == 1) {
            if (in_range) divide(j, 0, sum.x), divide(j, 1, sum.y);
        } else {  // even lanes continue with the first frame, odd lanes with the second
            const bool second = lane % 2;
            float total = second ? sum.y : sum.x;
            total += __shfl_xor_sync(0xffffffffu, second ? sum.x : sum.y, 1);
#pragma unroll
            for (int reach = 2; reach < LANES_PER_BAND; reach *= 2)
                total += __shfl_xor_sync(0xffffffffu, total, reach);
            if (in_range && lane < 2) divide(j, lane, total);
        }
    }
}

// Sets the ratio of the band after the last, initially 0, to 1 for a frame with a value other than
// 0.
__device__ __forceinline__ void mark_nonsilent(float2 target, float2* beyond) {
    if (target.x != 0.f) beyond->x = 1.f;
    if (target.y != 0.f) beyond->y = 1.f;
}

// The factor g of a bin in one update. `low`: the ratios of its lower band, followed by the next
// band.
__device__ __forceinline__ float2 update_gain(float2 shares, const float2* low) {
    const float2 lower = low[0], upper = low[1];
    return make_float2(
        fmaf(shares.x, lower.x, shares.y * upper.x), fmaf(shares.x, lower.y, shares.y * upper.y)
    );
}
