// What every kernel starts from. Two compilers read these files: NVRTC, and in tests a host compiler, with threads emulated.
#pragma once

#ifndef HOST_EMULATION
// Dynamic shared memory, as many bytes as the launch asked for.
extern __shared__ __align__(16) unsigned char dynamic_shared[];
#endif

struct Complex {
    float re, im;
};
__device__ __forceinline__ Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
__device__ __forceinline__ Complex operator-(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }
__device__ __forceinline__ Complex operator*(Complex a, Complex b) {
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
__device__ __forceinline__ Complex operator*(float a, Complex b) { return {a * b.re, a * b.im}; }
__device__ __forceinline__ Complex conj(Complex a) { return {a.re, -a.im}; }
__device__ __forceinline__ float2 operator*(float2 a, float2 b) { return make_float2(a.x * b.x, a.y * b.y); }
