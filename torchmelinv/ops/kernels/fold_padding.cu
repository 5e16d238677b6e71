// The adjoint of mirroring: what was read at the padding's samples goes back to the signal's own. A sample n of a signal of `end`
// samples was read at n and −n, and again every 2 (end − 1) samples. Grid: items by blocks, which share the samples.
#include "device.cuh"

extern "C" __global__ void __launch_bounds__(256) fold_padding(
    const float* __restrict__ padded,  // (items, n_padded)
    const int* __restrict__ ends,      // samples of each item, or null: n_samples
    float* __restrict__ folded,        // (items, n_samples)
    int left, int n_padded, int n_samples) {
    const int item = blockIdx.x, end = ends ? __ldg(ends + item) : n_samples, period = max(2 * (end - 1), 1);
    padded += (long long)item * n_padded;
    for (long long n = blockIdx.y * 256 + threadIdx.x; n < n_samples; n += 256 * gridDim.y) {
        float sum = 0.f;
        if (n < end) {
            for (int p = ((int)n + left) % period; p < n_padded; p += period) sum += __ldg(padded + p);
            if (n > 0 && n < end - 1)
                for (int p = (period - (int)n + left) % period; p < n_padded; p += period) sum += __ldg(padded + p);
        }
        folded[(long long)item * n_samples + n] = sum;
    }
}
