// One step of Griffin-Lim, fast or accelerated, from signals to signals:
//
//   y = t + alpha (t − t_prev),  d = t + beta (t − t_prev),
//   x = ISTFT(P(STFT(y))),       next = d + gamma (x − d).
//
// P imposes a magnitude, A · X / |X|, or, if N_MELS is defined, updates the spectrum toward a mel
// of N_MELS bands. Frames, spectra and overlaps never leave the chip: a sample is read once for y
// (and once for d) and written once.
//
// Grid: items by groups of STREAMS streams. Shared memory: STREAMS · EXCHANGE complex words, and
// the words of `Target`. Compile-time sizes: N_FFT, HOP, and MIN_BLOCKS, the blocks that should fit
// on a multiprocessor. `window` and `twiddles` are not __restrict__: the compiler would then hold
// all of them in registers across the loop.
#ifdef N_MELS
#include "mel_update.cuh"
#else
#include "magnitude.cuh"
#endif

extern "C" __global__ void __launch_bounds__(THREADS, MIN_BLOCKS) fused_step(
    const float* __restrict__ signal,             // t, (items, n_samples)
    const float* __restrict__ previous,           // t_prev, or null: y = d = t
    const float* window,                          // (n_fft,)
    const float* __restrict__ inverse_sumsquare,  // 1 / (n_fft Σ w²), ([items,] n_samples)
    const float2* twiddles,                       // see fft.cuh
    const int* __restrict__ n_valid,              // samples of each item, or null: n_samples
    float* __restrict__ projected,                // x
    float* __restrict__ next,                     // or null: not needed
    float alpha, float beta, float gamma, int reflect, int sumsquare_stride, int left, int n_frames,
    int n_samples, int first_hop, int run, TARGET_PARAMETERS
) {
    const int lane = lane_of_thread(), item = blockIdx.x;
    const int begin = first_hop + ((int)blockIdx.y * STREAMS + stream_of_block()) * run;
    Complex* held = (Complex*)dynamic_shared + stream_of_block() * EXCHANGE;
    signal += (long long)item * n_samples;
    if (previous) previous += (long long)item * n_samples;
    projected += (long long)item * n_samples;
    if (next) next += (long long)item * n_samples;
    inverse_sumsquare += (long long)item * sumsquare_stride;
    const Extrapolated source{
        signal, previous, alpha, n_valid ? __ldg(n_valid + item) : n_samples, reflect != 0
    };
    Target target(item, begin - WARM_UP, n_frames, lane, TARGET_ARGUMENTS);

    float values[REACH], sums[REACH];
    int n = (begin - WARM_UP) * HOP - left + lane;  // sample of register 0
    source.read<0, 16 - SHIFT>(values, n, lane, held);
#pragma unroll
    for (int m = 0; m < REACH; m++) sums[m] = 0.f;

#pragma unroll 1
    for (int frame = begin - WARM_UP; frame < begin + run; frame += 2, n += 2 * HOP) {
        source.read<16 - SHIFT, REACH>(values, n, lane, held);
        Complex v[16];
        packed(values, window, lane, v);
        advance(values);
        target.fetch(frame >= 0 && frame < n_frames, frame >= 0 && frame + 1 < n_frames, lane);
        forward_transform(v, lane, held, twiddles);
        Pairs pairs = paired(v, lane);
        target.impose(pairs, lane);
        unpaired(pairs, v, lane);
        inverse_transform(v, lane, held, twiddles);
        overlap(v, window, lane, sums);
        if (frame >= begin) {
            Finished x, d, before;
            x.fetch(inverse_sumsquare, n, n_samples);
#pragma unroll
            for (int m = 0; m < 2 * SHIFT; m++) x.value[m] *= sums[m];
            x.store(projected, n, n_samples);
            if (next) {
                d.fetch(signal, n, n_samples);
                if (previous) {
                    before.fetch(previous, n, n_samples);
#pragma unroll
                    for (int m = 0; m < 2 * SHIFT; m++)
                        d.value[m] = fmaf(beta, d.value[m] - before.value[m], d.value[m]);
                }
#pragma unroll
                for (int m = 0; m < 2 * SHIFT; m++)
                    d.value[m] = fmaf(gamma, x.value[m] - d.value[m], d.value[m]);
                d.store(next, n, n_samples);
            }
        }
        advance(sums);
#pragma unroll
        for (int m = 16 - SHIFT; m < REACH; m++) sums[m] = 0.f;
    }
}
