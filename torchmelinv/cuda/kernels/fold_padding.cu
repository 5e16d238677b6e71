// The adjoint of mirrored padding: adds the gradient at padding samples to the samples that they
// mirror. Grid: items by blocks; the blocks of an item share its samples.
#include "padding.cuh"

extern "C" __global__ void __launch_bounds__(256) fold_padding(
    const float* __restrict__ padded,  // (items, n_padded)
    const int* __restrict__ n_valid,   // samples of each item, or null: n_samples
    float* __restrict__ to_signal,     // (items, n_samples)
    int left, int n_padded, int n_samples
) {
    const int item = blockIdx.x, end = n_valid ? __ldg(n_valid + item) : n_samples;
    padded += (long long)item * n_padded;
    for (long long n = blockIdx.y * 256 + threadIdx.x; n < n_samples; n += 256 * gridDim.y) {
        const auto value = [&](int p) { return __ldg(padded + p); };
        to_signal[(long long)item * n_samples + n] =
            n < end ? folded((int)n, left, end, n_padded, value) : 0.f;
    }
}
