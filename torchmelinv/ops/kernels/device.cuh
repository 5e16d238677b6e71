// What every kernel starts from. Two compilers read these files: NVRTC, and in tests a host compiler, with threads emulated.
#pragma once

#ifndef HOST_EMULATION
// Dynamic shared memory, as many bytes as the launch asked for.
extern __shared__ __align__(16) unsigned char dynamic_shared[];
#endif

constexpr float TINY = 1.17549435e-38f;  // the smallest normal number

struct Complex {
    float re, im;
};
__device__ __forceinline__ Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
__device__ __forceinline__ Complex operator-(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }
__device__ __forceinline__ Complex operator*(float a, Complex b) { return {a * b.re, a * b.im}; }
__device__ __forceinline__ float2 operator*(float2 a, float2 b) { return make_float2(a.x * b.x, a.y * b.y); }
