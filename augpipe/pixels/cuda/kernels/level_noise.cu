// Noise by level and impulses: pixels/steps/level_noise.py. They read the bank, which point operations behind them may, too.

struct BankReads { int32_t shared, count, numbers[6]; };
struct LevelNoise { int32_t place; BankReads reads; };      // place of 256 int32 among the parameters
struct Impulses { int32_t low, high, dark, light; BankReads reads; };

template <int C>
static __device__ __forceinline__ void levels_of(const Pass& pass, int x, int y, int (&levels)[4 * C]) {
  const uint8_t* row = (const uint8_t*)pass.source + (int64_t)y * pass.source_pitch;
#pragma unroll
  for (int i = 0; i < 4 * C; ++i)
    levels[i] = __ldg(row + (int64_t)min(x + i / C * APART, pass.source_w - 1) * C + i % C);
}

template <int C>
static __device__ __forceinline__ void with_level_noise(
    const Pass& pass, const char* parameters, const int16_t* __restrict__ bank, int x, int y, int (&levels)[4 * C]) {
  const LevelNoise& own = head_of<LevelNoise>(pass);
  const int32_t* scales = (const int32_t*)(parameters + own.place);
  int sums[4 * C];
  sums_of_bank<C>(bank, own.reads.numbers, own.reads.count, own.reads.shared != 0, x, y, sums);
#pragma unroll
  for (int k = 0; k < 4 * C; ++k) levels[k] = clipped(levels[k] + ((sums[k] * __ldg(scales + levels[k]) + (1 << 15)) >> 16));
}

template <int C>
static __device__ __forceinline__ void with_impulses(
    const Pass& pass, const char*, const int16_t* __restrict__ bank, int x, int y, int (&levels)[4 * C]) {
  const Impulses& own = head_of<Impulses>(pass);
  int sums[4 * C];
  sums_of_bank<C>(bank, own.reads.numbers, own.reads.count, true, x, y, sums);
#pragma unroll
  for (int k = 0; k < 4 * C; ++k) levels[k] = sums[k] < own.low ? own.dark : sums[k] > own.high ? own.light : levels[k];
}

#define BANK_KERNEL(name, changed_by)                                                                                \
  extern "C" __global__ void __launch_bounds__(256) name(                                                            \
      const Pass* __restrict__ passes, int count, const char* __restrict__ parameters,                               \
      const int16_t* __restrict__ bank) {                                                                            \
    const Pass& pass = pass_of(passes, count, (int)blockIdx.x);                                                      \
    int x, y;                                                                                                        \
    if (!place_of(pass, x, y)) return;                                                                               \
    if (pass.channels == 3) {                                                                                        \
      int levels[12];                                                                                                \
      levels_of<3>(pass, x, y, levels);                                                                              \
      changed_by<3>(pass, parameters, bank, x, y, levels);                                                           \
      finish<3>(pass, parameters, bank, x, y, levels);                                                               \
    } else {                                                                                                         \
      int levels[4];                                                                                                 \
      levels_of<1>(pass, x, y, levels);                                                                              \
      changed_by<1>(pass, parameters, bank, x, y, levels);                                                           \
      finish<1>(pass, parameters, bank, x, y, levels);                                                               \
    }                                                                                                                \
  }

BANK_KERNEL(level_noise, with_level_noise)
EXPORT(level_noise)
BANK_KERNEL(impulses, with_impulses)
EXPORT(impulses)
