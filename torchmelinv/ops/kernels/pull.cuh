// What a fused step may want of spectra: a mel of N_MELS bands, towards which they are pulled (mel.cuh).
//
// A thread keeps the spectra of its bins, and the product of the sweeps' factors, in registers; what the filterbank sees of all
// bins is in shared memory, in SEEN places, of which the last are 0. POWER and ROOT, 1 or 2, say that the mel is one of |c|^POWER
// and that c is multiplied by the ROOT-th root of that product; 0 that arguments say it, for which each thread goes through its
// bins one by one: a power is long code.
#pragma once
#include "mel.cuh"
#include "stream.cuh"

constexpr int LANES_OF_BAND = LANES > 32 ? LANES / 32 : 1;  // threads that add up a band, see ops/mel_pull.py
constexpr int OF_THREAD = (N_MELS + LANES - 1) / LANES;      // bands that a thread fetches
constexpr int OF_STREAM = 2 * SEEN + 2 * (N_MELS + 1);       // float2 of shared memory, behind those of all exchanges

#define WANTED_PARAMETERS \
    const float* __restrict__ mel,      /* m, (items, n_frames, N_MELS) */ \
    const int4* rows, const float* weights, const int* band, const float2* spread, /* see mel.cuh */ \
    const float* __restrict__ offset, const float* __restrict__ floor,             /* (items,) */ \
    float power, int sweeps, float exponent, float most_ratio, float most_gain, float faintest
#define WANTED_ARGUMENTS \
    mel, MelTables{rows, weights, band, spread}, __ldg(offset + item), __ldg(floor + item), POWER ? POWER : power, sweeps, \
        ROOT ? 1.f / ROOT : exponent, most_ratio, most_gain, faintest

struct Wanted {
    const float* mel;  // of this thread's first band
    MelTables tables;
    float offset, floor, power;
    int sweeps;
    float exponent, most_ratio, most_gain, faintest;
    float2 *seen, *wanted, *ratio;
    Rows<float2> own;        // this thread's bins in `seen`; SEEN places further are their two shares
    const float2* lower[8];  // the ratio of the lower band of each
    float2 m[OF_THREAD];     // of the next pair of frames, on its way to `wanted`

    __device__ __forceinline__ Wanted(
        int item, int frame, int n_frames, int lane, const float* mel, MelTables tables, float offset, float floor, float power,
        int sweeps, float exponent, float most_ratio, float most_gain, float faintest)
        : mel(mel + ((long long)item * n_frames + frame) * N_MELS + lane), tables(tables), offset(offset), floor(floor),
          power(power), sweeps(sweeps), exponent(exponent), most_ratio(most_ratio), most_gain(most_gain), faintest(faintest),
          seen((float2*)dynamic_shared + STREAMS * EXCHANGE + stream_of_block() * OF_STREAM), wanted(seen + 2 * SEEN),
          ratio(wanted + N_MELS), own(seen, 0, lane) {
        const Rows<const int> band(tables.band, 0, lane);
#pragma unroll
        for (int s = 0; s < 8; s++) lower[s] = ratio + __ldg(band.of(0, s));
        for (int k = lane; k < FREQUENCIES; k += LANES) seen[SEEN + k] = __ldg(tables.spread + k);
        for (int k = FREQUENCIES + lane; k < SEEN; k += LANES) seen[k] = make_float2(0.f, 0.f);
    }

    // What is wanted of the next pair of frames, of which one or both may not exist. The transform hides how long that takes.
    __device__ __forceinline__ void fetch(bool is_first, bool is_second, int lane) {
#pragma unroll
        for (int i = 0; i < OF_THREAD; i++) {
            const bool mine = lane + i * LANES < N_MELS;
            m[i].x = mine && is_first ? __ldg(mel + i * LANES) : 0.f;
            m[i].y = mine && is_second ? __ldg(mel + N_MELS + i * LANES) : 0.f;
        }
        mel += 2 * N_MELS;
        if (lane == 0) ratio[N_MELS] = make_float2(0.f, 0.f);
    }

    __device__ __forceinline__ void impose(Pairs& pairs, int lane) {
#pragma unroll
        for (int i = 0; i < OF_THREAD; i++)
            if (lane + i * LANES < N_MELS) wanted[lane + i * LANES] = m[i], mel_hears(m[i], ratio + N_MELS);
        float2 product[8], of_nyquist = make_float2(1.f, 1.f);
#pragma unroll
        for (int s = 0; s < 8; s++) *own.of(0, s) = see(pairs.at[s], pairs.mirror[s]), product[s] = make_float2(1.f, 1.f);
        if (lane == 0) *own.nyquist_of_lane_0(0) = see(pairs.nyquist, pairs.nyquist);
        if (!POWER) one_by_one(lane, [&](float x) { return mel_seen(x, offset, floor, power); });

        for (int left = sweeps - 1;; left--) {
            __syncthreads();
            mel_ratios<LANES_OF_BAND, LANES>(tables, N_MELS, seen, wanted, ratio, faintest, most_ratio, lane);
            __syncthreads();
            if (left == 0) break;
#pragma unroll
            for (int s = 0; s < 8; s++) {
                const float2 factor = mel_factor(own.of(0, s)[SEEN], lower[s]);
                product[s] = product[s] * factor, *own.of(0, s) = *own.of(0, s) * factor;
            }
            if (lane == 0) {
                const float2 factor = of_nyquist_of_lane_0();
                of_nyquist = of_nyquist * factor, *own.nyquist_of_lane_0(0) = *own.nyquist_of_lane_0(0) * factor;
            }
        }
#pragma unroll
        for (int s = 0; s < 8; s++) product[s] = product[s] * mel_factor(own.of(0, s)[SEEN], lower[s]);
        if (lane == 0) of_nyquist = of_nyquist * of_nyquist_of_lane_0();

        if (!ROOT) {
#pragma unroll
            for (int s = 0; s < 8; s++) *own.of(0, s) = product[s];
            if (lane == 0) *own.nyquist_of_lane_0(0) = of_nyquist;
            one_by_one(lane, [&](float x) { return mel_gain(x, exponent, most_gain); });
#pragma unroll
            for (int s = 0; s < 8; s++) product[s] = *own.of(0, s);
            if (lane == 0) of_nyquist = *own.nyquist_of_lane_0(0);
        }
#pragma unroll
        for (int s = 0; s < 8; s++) amplify(pairs.at[s], pairs.mirror[s], gain(product[s]));
        if (lane == 0) {
            Complex same = pairs.nyquist;
            amplify(pairs.nyquist, same, gain(of_nyquist));
        }
    }

  private:
    // s of a bin, or |c|² where POWER does not say what that is.
    __device__ __forceinline__ float2 see(Complex at, Complex mirror) const {
        const float first = 0.25f * squared(first_twice(at, mirror)), second = 0.25f * squared(second_twice(at, mirror));
        if (!POWER) return make_float2(first, second);
        return make_float2(mel_seen(first, offset, floor, power), mel_seen(second, offset, floor, power));
    }
    __device__ __forceinline__ float2 gain(float2 product) const {
        if (!ROOT) return product;
        return make_float2(mel_gain(product.x, exponent, most_gain), mel_gain(product.y, exponent, most_gain));
    }
    __device__ __forceinline__ float2 of_nyquist_of_lane_0() const {
        return mel_factor(own.nyquist_of_lane_0(0)[SEEN], ratio + __ldg(tables.band + N_FFT / 2));
    }
    template <class Function> __device__ __forceinline__ void one_by_one(int lane, Function function) const {
#pragma unroll 1
        for (int i = 0; i < (lane ? 16 : 18); i++) {
            float2* at = i < 16 ? own.of(0, i / 2) : own.nyquist_of_lane_0(0);
            float& value = i % 2 ? at->y : at->x;
            value = function(value);
        }
    }
};
