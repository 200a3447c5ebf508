// Lets a C++ compiler build the kernels of augpipe/pixels/cuda and run them on host memory, thread after thread.
// Only what the kernels use is here; a barrier could not be. EXPORT makes a C function of a kernel.
#pragma once
#define HOST_BUILD
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __ldg(p) (*(p))

using std::abs;
using std::fabs;
using std::max;
using std::min;

struct Three { unsigned x, y, z; };
static thread_local Three threadIdx, blockIdx;

static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline float __double2float_rn(double v) { return (float)v; }
static inline int __float2int_rn(float v) { return (int)std::nearbyintf(v); }
static inline uint32_t __umulhi(uint32_t a, uint32_t b) { return (uint32_t)(((uint64_t)a * b) >> 32); }

#define EXPORT(name)                                                                                            \
  extern "C" void name##_on_host(                                                                               \
      unsigned blocks, unsigned w, unsigned h, const void* passes, int count, const void* parameters,           \
      const void* bank) {                                                                                       \
    for (unsigned block = 0; block < blocks; ++block)                                                           \
      for (unsigned y = 0; y < h; ++y)                                                                          \
        for (unsigned x = 0; x < w; ++x) {                                                                      \
          blockIdx = {block, 0, 0};                                                                             \
          threadIdx = {x, y, 0};                                                                                \
          name((const Pass*)passes, count, (const char*)parameters, (const int16_t*)bank);                      \
        }                                                                                                       \
  }
