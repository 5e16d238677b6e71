// Basics of every kernel. Two compilers read these files: NVRTC, and in tests a host compiler that
// emulates the threads.
#pragma once

#ifndef HOST_EMULATION
// Dynamic shared memory, as many bytes as the launch requested.
extern __shared__ __align__(16) unsigned char dynamic_shared[];
#endif

constexpr float TINY = 1.17549435e-38f;  // the smallest normal number

struct Complex {
    float re, im;
};
__device__ __forceinline__ Complex operator+(Complex a, Complex b) {
    return {a.re + b.re, a.im + b.im};
}
__device__ __forceinline__ Complex operator-(Complex a, Complex b) {
    return {a.re - b.re, a.im - b.im};
}
__device__ __forceinline__ Complex operator*(float a, Complex b) { return {a * b.re, a * b.im}; }
__device__ __forceinline__ float2 operator*(float2 a, float2 b) {
    return make_float2(a.x * b.x, a.y * b.y);
}
