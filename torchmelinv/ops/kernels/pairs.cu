// What stands around cuFFT in a phase method's step, for any frame length and hop: framing, projection, overlap-add.
//
// Frames 2j and 2j + 1 of an item are the real and the imaginary part of one complex frame z, so that complex transforms serve
// (a real one back would copy its input first). With Z = FFT(z), the two spectra are
//     X_a = (Z[k] + conj Z[N − k]) / 2,    X_b = (Z[k] − conj Z[N − k]) / 2i,
// and Y_a, Y_b are packed as Y[k] = Y_a + i Y_b, Y[N − k] = conj(Y_a) + i conj(Y_b). The two are as exact as the louder of them:
// for neighbours in time that is rounding. Where the number of frames is odd, the last has silence for its partner.
#include "device.cuh"
#include "mel.cuh"

#define THREADS 256
#define PULL_THREADS 128

struct Pair {
    Complex a, b;  // a bin of the two spectra
};

__device__ __forceinline__ Pair unpack(const float2* z, int n_fft, int k) {
    const float2 low = z[k], high = z[k ? n_fft - k : 0];
    return {{0.5f * (low.x + high.x), 0.5f * (low.y - high.y)}, {0.5f * (low.y + high.y), 0.5f * (high.x - low.x)}};
}

__device__ __forceinline__ void pack(float2* z, int n_fft, int k, Pair y) {
    z[k] = make_float2(y.a.re - y.b.im, y.a.im + y.b.re);
    if (k) z[n_fft - k] = make_float2(y.a.re + y.b.im, y.b.re - y.a.im);
}

__device__ __forceinline__ float squared(Complex c) { return c.re * c.re + c.im * c.im; }

#define TINY 1.17549435e-38f  // the smallest normal number

// 1 / |c|, finite also where c is 0.
__device__ __forceinline__ float inverse_modulus(Complex c) { return rsqrtf(squared(c) + 2.f * TINY); }

// Where sample `at` of a padded signal comes from, −1 where it is 0. Mirrored at both ends as often as needed.
__device__ __forceinline__ int source(int at, int length, int reflect) {
    if ((unsigned)at < (unsigned)length) return at;
    if (!reflect) return -1;
    const int period = max(2 * (length - 1), 1);
    int folded = at % period;
    folded = folded < 0 ? folded + period : folded;
    return min(min(folded, period - folded), length - 1);
}

// Frames of y = t + momentum (t − previous), times `scale` where there is one, windowed. One block a pair.
extern "C" __global__ void __launch_bounds__(THREADS) frame_pairs(
    const float* __restrict__ signal, const float* __restrict__ previous, float momentum, const float* __restrict__ scale,
    int scale_stride, const int* __restrict__ ends, int reflect, const float* __restrict__ window, float2* __restrict__ z,
    int n_fft, int hop_length, int left, int n_frames, int n_samples
) {
    const int n_pairs = (n_frames + 1) / 2, item = blockIdx.x / n_pairs, pair = blockIdx.x % n_pairs;
    const int length = reflect && ends ? ends[item] : n_samples;
    const int begin = 2 * pair * hop_length - left;
    const bool both = 2 * pair + 1 < n_frames;
    signal += (long long)item * n_samples;
    if (previous) previous += (long long)item * n_samples;
    if (scale) scale += (long long)item * scale_stride;
    auto sample = [&](int at) {
        const int i = source(at, length, reflect);
        if (i < 0) return 0.f;
        float y = signal[i];
        if (previous) y += momentum * (y - previous[i]);
        return scale ? y * scale[i] : y;
    };
    z += (long long)blockIdx.x * n_fft;
    for (int k = threadIdx.x; k < n_fft; k += THREADS) {
        const float w = window[k];
        z[k] = make_float2(w * sample(begin + k), both ? w * sample(begin + hop_length + k) : 0.f);
    }
}

// Magnitudes imposed, angles kept: Y = A X / |X|, in place. One block a pair.
extern "C" __global__ void __launch_bounds__(THREADS) impose_pairs(
    float2* __restrict__ z, const float* __restrict__ magnitude, int n_fft, int n_frames
) {
    const int n_pairs = (n_frames + 1) / 2, item = blockIdx.x / n_pairs, pair = blockIdx.x % n_pairs, n_freqs = n_fft / 2 + 1;
    const bool both = 2 * pair + 1 < n_frames;
    magnitude += ((long long)item * n_frames + 2 * pair) * n_freqs;
    z += (long long)blockIdx.x * n_fft;
    for (int k = threadIdx.x; k < n_freqs; k += THREADS) {
        const float a = magnitude[k], b = both ? magnitude[n_freqs + k] : 0.f;
        const Pair x = unpack(z, n_fft, k);
        pack(z, n_fft, k, {a * inverse_modulus(x.a) * x.a, b * inverse_modulus(x.b) * x.b});
    }
}

// The pull towards a mel, in place. One block a pair; dynamic shared memory: 2 n_freqs + 2 (n_mels + 1) float2.
extern "C" __global__ void __launch_bounds__(PULL_THREADS, 10) pull_pairs(
    float2* __restrict__ z, const float* __restrict__ values, const int* __restrict__ first, const int* __restrict__ width,
    const int* __restrict__ start, const float* __restrict__ weights, const int* __restrict__ band,
    const float2* __restrict__ spread, const float* __restrict__ free, const float* __restrict__ offset,
    const float* __restrict__ floor, float power, int sweeps, float exponent, float most_ratio, float most_gain, float faintest,
    int n_fft, int n_frames, int n_mels
) {
    const int n_pairs = (n_frames + 1) / 2, item = blockIdx.x / n_pairs, pair = blockIdx.x % n_pairs, n_freqs = n_fft / 2 + 1;
    const int t = threadIdx.x;
    const bool both = 2 * pair + 1 < n_frames;
    const MelTables mel = {first, width, start, weights, band, spread, free, n_mels};
    float2* const seen = reinterpret_cast<float2*>(dynamic_shared);
    float2* const product = seen + n_freqs;  // of the sweeps' factors
    float2* const wanted = product + n_freqs;
    float2* const ratio = wanted + n_mels + 1;
    values += ((long long)item * n_frames + 2 * pair) * n_mels;
    z += (long long)blockIdx.x * n_fft;
    for (int j = t; j < n_mels; j += PULL_THREADS) wanted[j] = make_float2(values[j], both ? values[n_mels + j] : 0.f);
    if (t == 0) ratio[n_mels] = make_float2(0.f, 0.f);
    for (int k = t; k < n_freqs; k += PULL_THREADS) {
        const Pair x = unpack(z, n_fft, k);
        seen[k] = make_float2(
            mel_seen(squared(x.a), offset[item], floor[item], power), mel_seen(squared(x.b), offset[item], floor[item], power)
        );
        product[k] = make_float2(1.f, 1.f);
    }
    __syncthreads();
    const float2 heard = mel_heard(wanted, n_mels, t);
    for (int sweep = 0; sweep < sweeps; sweep++) {
        mel_ratios(mel, seen, wanted, ratio, faintest, most_ratio, t, PULL_THREADS);
        __syncthreads();
        for (int k = t; k < n_freqs; k += PULL_THREADS) {
            const float2 factor = mel_factor(mel, ratio, heard, k);
            seen[k] = make_float2(seen[k].x * factor.x, seen[k].y * factor.y);
            product[k] = make_float2(product[k].x * factor.x, product[k].y * factor.y);
        }
        __syncthreads();
    }
    for (int k = t; k < n_freqs; k += PULL_THREADS) {
        const Pair x = unpack(z, n_fft, k);
        pack(z, n_fft, k, {
            mel_gain(product[k].x, exponent, most_gain) * x.a, mel_gain(product[k].y, exponent, most_gain) * x.b
        });
    }
}

// The way back through `impose_pairs`: from the spectra X of y and E of the gradient's frames, with u = X / |X|,
//     E ← (A / |X|) (E − u Re(conj(u) E)) = (A / |X|) i u Im(conj(u) E), in place,    dA_k = c_k Re(conj(u) E),
// c_k the number of bins that a real signal's bin stands for (it cancels in the first). 0 where a bin has no angle. The second
// form leaves nothing along u to rounding, which A / |X| would blow up in quiet bins, and is exactly 0 where both are real.
extern "C" __global__ void __launch_bounds__(THREADS) turn_pairs(
    const float2* __restrict__ x, float2* __restrict__ e, const float* __restrict__ magnitude, float* __restrict__ to_magnitude,
    int n_fft, int n_frames
) {
    const int n_pairs = (n_frames + 1) / 2, item = blockIdx.x / n_pairs, pair = blockIdx.x % n_pairs, n_freqs = n_fft / 2 + 1;
    const bool both = 2 * pair + 1 < n_frames;
    const long long row = ((long long)item * n_frames + 2 * pair) * n_freqs;
    x += (long long)blockIdx.x * n_fft;
    e += (long long)blockIdx.x * n_fft;
    const float no_angle = 0.5f * rsqrtf(TINY);
    auto turn = [&](Complex x, Complex e, float magnitude, float& along) {
        const float inverse = inverse_modulus(x);
        const Complex u = inverse * x;
        along = u.re * e.re + u.im * e.im;
        const float across = (inverse > no_angle ? 0.f : magnitude * inverse) * (u.re * e.im - u.im * e.re);
        return Complex{-across * u.im, across * u.re};
    };
    for (int k = threadIdx.x; k < n_freqs; k += THREADS) {
        const Pair xs = unpack(x, n_fft, k), es = unpack(e, n_fft, k);
        const float count = k == 0 || 2 * k == n_fft ? 1.f : 2.f;
        float along_a, along_b;
        const Complex a = turn(xs.a, es.a, magnitude[row + k], along_a);
        const Complex b = turn(xs.b, es.b, both ? magnitude[row + n_freqs + k] : 0.f, along_b);
        pack(e, n_fft, k, {a, b});
        to_magnitude[row + k] = count * along_a;
        if (both) to_magnitude[row + n_freqs + k] = count * along_b;
    }
}

// Sample `at` of the padded signal that an item's frames add up to: earlier frames first.
__device__ __forceinline__ float overlap_add(
    const float2* __restrict__ z, const float* __restrict__ window, int at, int n_fft, int hop_length, int n_frames
) {
    const int first = at < n_fft ? 0 : (at - n_fft) / hop_length + 1, last = min(at / hop_length, n_frames - 1);
    float sum = 0.f;
#pragma unroll 4
    for (int frame = first; frame <= last; frame++) {
        const int k = at - frame * hop_length;
        const float2* both = z + (long long)(frame >> 1) * n_fft + k;
        sum += window[k] * (frame & 1 ? both->y : both->x);
    }
    return sum;
}

// x from its frames; then t_new = d + relaxation (x − d) of d = t + inertia (t − previous), where `mixed` is asked for.
extern "C" __global__ void __launch_bounds__(THREADS) overlap_add_pairs(
    const float2* __restrict__ z, const float* __restrict__ window, const float* __restrict__ inverse_envelope,
    int envelope_stride, const float* __restrict__ signal, const float* __restrict__ previous, float inertia, float relaxation,
    float* __restrict__ x, float* __restrict__ mixed, int n_fft, int hop_length, int left, int n_frames, int n_samples,
    int blocks_per_item
) {
    const int item = blockIdx.x / blocks_per_item, n = blockIdx.x % blocks_per_item * THREADS + threadIdx.x;
    if (n >= n_samples) return;
    const long long here = (long long)item * n_samples + n;
    z += (long long)item * ((n_frames + 1) / 2) * n_fft;
    const float sum = overlap_add(z, window, n + left, n_fft, hop_length, n_frames);
    const float found = sum * inverse_envelope[(long long)item * envelope_stride + n];
    x[here] = found;
    if (!mixed) return;
    float d = signal[here];
    if (previous) d += inertia * (d - previous[here]);
    mixed[here] = d + relaxation * (found - d);
}

// The transpose of framing: frames added up, and what lies outside of the signal added to the samples that it mirrors.
extern "C" __global__ void __launch_bounds__(THREADS) fold_pairs(
    const float2* __restrict__ z, const float* __restrict__ window, const int* __restrict__ ends, int reflect,
    float* __restrict__ to_signal, int n_fft, int hop_length, int left, int n_frames, int n_samples, int blocks_per_item
) {
    const int item = blockIdx.x / blocks_per_item, n = blockIdx.x % blocks_per_item * THREADS + threadIdx.x;
    if (n >= n_samples) return;
    z += (long long)item * ((n_frames + 1) / 2) * n_fft;
    const int length = ends ? ends[item] : n_samples, padded = hop_length * (n_frames - 1) + n_fft;
    float sum = 0.f;
    if (!reflect) sum = overlap_add(z, window, n + left, n_fft, hop_length, n_frames);
    else if (n < length) {
        const int period = max(2 * (length - 1), 1);
        // mirrored at 0 and at length − 1 again and again, n lies at n + i · period and, unless they are the same, −n + i · period
        for (int at = (n + left) % period; at < padded; at += period)
            sum += overlap_add(z, window, at, n_fft, hop_length, n_frames);
        if (n != 0 && n != length - 1)
            for (int at = (period - n + left) % period; at < padded; at += period)
                sum += overlap_add(z, window, at, n_fft, hop_length, n_frames);
    }
    to_signal[(long long)item * n_samples + n] = sum;
}
