// The target of a fused step: a mel of N_MELS bands, reached by multiplicative updates (mel.cuh).
//
// A thread keeps the spectra of its bins, and the product of the factors of all updates, in
// registers. The filterbank input of all bins is in shared memory, in PADDED_BINS places, of which
// the last are 0. With POWER and ROOT of 1 or 2, the mel is one of |c|^POWER, and c is multiplied
// by the ROOT-th root of that product. With 0 the exponents are arguments; each thread then loops
// over its bins, because the code of a power is long.
#pragma once
#include "mel.cuh"
#include "stream.cuh"

// Threads that sum one band, as in cuda/mel_update.py.
constexpr int LANES_PER_BAND = LANES > 32 ? LANES / 32 : 1;
constexpr int BANDS_PER_THREAD = (N_MELS + LANES - 1) / LANES;  // bands that a thread fetches
// float2 of shared memory, after those of all exchanges.
constexpr int WORDS_PER_STREAM = 2 * PADDED_BINS + 2 * (N_MELS + 1);

#define TARGET_PARAMETERS                                                                     \
    const float *__restrict__ mel, /* m, (items, n_frames, N_MELS) */                         \
        const int4 *rows, const float *weights, const int *lower_band,                        \
        const float2 *shares,                                              /* see mel.cuh */  \
        const float *__restrict__ offset, const float *__restrict__ floor, /* (items,) */     \
        float power, int inner_iter, float exponent, float largest_ratio, float largest_gain, \
        float smallest_mel
#define TARGET_ARGUMENTS                                                                          \
    mel, MelTables{rows, weights, lower_band, shares}, __ldg(offset + item), __ldg(floor + item), \
        POWER ? POWER : power, inner_iter, ROOT ? 1.f / ROOT : exponent, largest_ratio,           \
        largest_gain, smallest_mel

struct Target {
    const float* mel;  // of the first band of this thread
    MelTables tables;
    float offset, floor, power;
    int inner_iter;
    float exponent, largest_ratio, largest_gain, smallest_mel;
    float2 *input, *target, *ratio;
    // The bins of this thread in `input`; their two shares are PADDED_BINS places further.
    Rows<float2> bins;
    const float2* lower[8];      // the ratio of the lower band of each
    float2 m[BANDS_PER_THREAD];  // of the next pair of frames; copied to `target` later

    __device__ __forceinline__ Target(
        int item, int frame, int n_frames, int lane, const float* mel, MelTables tables,
        float offset, float floor, float power, int inner_iter, float exponent, float largest_ratio,
        float largest_gain, float smallest_mel
    )
        : mel(mel + ((long long)item * n_frames + frame) * N_MELS + lane),
          tables(tables),
          offset(offset),
          floor(floor),
          power(power),
          inner_iter(inner_iter),
          exponent(exponent),
          largest_ratio(largest_ratio),
          largest_gain(largest_gain),
          smallest_mel(smallest_mel),
          input(
              (float2*)dynamic_shared + STREAMS * EXCHANGE + stream_of_block() * WORDS_PER_STREAM
          ),
          target(input + 2 * PADDED_BINS),
          ratio(target + N_MELS),
          bins(input, 0, lane) {
        const Rows<const int> lower_band(tables.lower_band, 0, lane);
#pragma unroll
        for (int s = 0; s < 8; s++) lower[s] = ratio + __ldg(lower_band.of(0, s));
        for (int k = lane; k < FREQUENCIES; k += LANES)
            input[PADDED_BINS + k] = __ldg(tables.shares + k);
        for (int k = FREQUENCIES + lane; k < PADDED_BINS; k += LANES)
            input[k] = make_float2(0.f, 0.f);
    }

    // Loads the target of the next pair of frames, of which one or both may not exist. The
    // transform hides the latency.
    __device__ __forceinline__ void fetch(bool is_first, bool is_second, int lane) {
#pragma unroll
        for (int i = 0; i < BANDS_PER_THREAD; i++) {
            const bool in_range = lane + i * LANES < N_MELS;
            m[i].x = in_range && is_first ? __ldg(mel + i * LANES) : 0.f;
            m[i].y = in_range && is_second ? __ldg(mel + N_MELS + i * LANES) : 0.f;
        }
        mel += 2 * N_MELS;
        if (lane == 0) ratio[N_MELS] = make_float2(0.f, 0.f);
    }

    __device__ __forceinline__ void impose(Pairs& pairs, int lane) {
#pragma unroll
        for (int i = 0; i < BANDS_PER_THREAD; i++)
            if (lane + i * LANES < N_MELS)
                target[lane + i * LANES] = m[i], mark_nonsilent(m[i], ratio + N_MELS);
        float2 product[8], of_nyquist = make_float2(1.f, 1.f);
#pragma unroll
        for (int s = 0; s < 8; s++)
            *bins.of(0, s) = input_of(pairs.at[s], pairs.mirror[s]),
                        product[s] = make_float2(1.f, 1.f);
        if (lane == 0) *bins.nyquist_of_lane_0(0) = input_of(pairs.nyquist, pairs.nyquist);
        if (!POWER)
            apply_to_each(lane, [&](float x) { return filterbank_input(x, offset, floor, power); });

        for (int left = inner_iter - 1;; left--) {
            __syncthreads();
            mel_ratios<LANES_PER_BAND, LANES>(
                tables, N_MELS, input, target, ratio, smallest_mel, largest_ratio, lane
            );
            __syncthreads();
            if (left == 0) break;
#pragma unroll
            for (int s = 0; s < 8; s++) {
                const float2 factor = update_gain(bins.of(0, s)[PADDED_BINS], lower[s]);
                product[s] = product[s] * factor, *bins.of(0, s) = *bins.of(0, s) * factor;
            }
            if (lane == 0) {
                const float2 factor = of_nyquist_of_lane_0();
                of_nyquist = of_nyquist * factor,
                *bins.nyquist_of_lane_0(0) = *bins.nyquist_of_lane_0(0) * factor;
            }
        }
#pragma unroll
        for (int s = 0; s < 8; s++)
            product[s] = product[s] * update_gain(bins.of(0, s)[PADDED_BINS], lower[s]);
        if (lane == 0) of_nyquist = of_nyquist * of_nyquist_of_lane_0();

        if (!ROOT) {
#pragma unroll
            for (int s = 0; s < 8; s++) *bins.of(0, s) = product[s];
            if (lane == 0) *bins.nyquist_of_lane_0(0) = of_nyquist;
            apply_to_each(lane, [&](float x) { return spectrum_gain(x, exponent, largest_gain); });
#pragma unroll
            for (int s = 0; s < 8; s++) product[s] = *bins.of(0, s);
            if (lane == 0) of_nyquist = *bins.nyquist_of_lane_0(0);
        }
#pragma unroll
        for (int s = 0; s < 8; s++) amplify(pairs.at[s], pairs.mirror[s], gain(product[s]));
        if (lane == 0) {
            Complex same = pairs.nyquist;
            amplify(pairs.nyquist, same, gain(of_nyquist));
        }
    }

  private:
    // s of a bin, or |c|² with POWER 0.
    __device__ __forceinline__ float2 input_of(Complex at, Complex mirror) const {
        const float first = 0.25f * squared(first_twice(at, mirror)),
                    second = 0.25f * squared(second_twice(at, mirror));
        if (!POWER) return make_float2(first, second);
        return make_float2(
            filterbank_input(first, offset, floor, power),
            filterbank_input(second, offset, floor, power)
        );
    }
    __device__ __forceinline__ float2 gain(float2 product) const {
        if (!ROOT) return product;
        return make_float2(
            spectrum_gain(product.x, exponent, largest_gain),
            spectrum_gain(product.y, exponent, largest_gain)
        );
    }
    __device__ __forceinline__ float2 of_nyquist_of_lane_0() const {
        return update_gain(
            bins.nyquist_of_lane_0(0)[PADDED_BINS], ratio + __ldg(tables.lower_band + N_FFT / 2)
        );
    }
    template <class Function>
    __device__ __forceinline__ void apply_to_each(int lane, Function function) const {
#pragma unroll 1
        for (int i = 0; i < (lane ? 16 : 18); i++) {
            float2* at = i < 16 ? bins.of(0, i / 2) : bins.nyquist_of_lane_0(0);
            float& value = i % 2 ? at->y : at->x;
            value = function(value);
        }
    }
};
