// Noise by level and impulses: pixels/steps/level_noise.py. They read the bank, which point operations behind them may, too.

struct BankReads { int32_t shared, count, numbers[6]; };
struct LevelNoise { int32_t place; BankReads reads; };      // place of 256 int32 among the parameters
struct Impulses { int32_t low, high, dark, light; BankReads reads; };

// As add_noise in points.cu reads them; with `shared` one number for all channels of a pixel.
template <int C>
static __device__ __forceinline__ void sums_of_bank(
    const int16_t* __restrict__ bank, const BankReads& reads, bool shared, int x, int y, int (&sums)[4 * C]) {
  const uint64_t growths = (uint64_t)y * (uint64_t)(y - 1) / 2 % BANK_LENGTH;
  const int a_pixel = shared ? 1 : C;
#pragma unroll
  for (int k = 0; k < 4 * C; ++k) sums[k] = 0;
#pragma unroll 1
  for (int i = 0; i < reads.count; ++i) {
    const int32_t* read = reads.numbers + 3 * i;
    const uint64_t first = (uint64_t)__ldg(read) + (uint64_t)__ldg(read + 1) * (uint64_t)y +
                           (uint64_t)__ldg(read + 2) * growths + (uint64_t)x * a_pixel;
    const int16_t* from = bank + first % BANK_LENGTH;
#pragma unroll
    for (int pixel = 0; pixel < 4; ++pixel)
#pragma unroll
      for (int c = 0; c < C; ++c) sums[pixel * C + c] += __ldg(from + pixel * APART * a_pixel + (shared ? 0 : C - 1 - c));
  }
}

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
  sums_of_bank<C>(bank, own.reads, own.reads.shared != 0, x, y, sums);
  levels_of<C>(pass, x, y, levels);
#pragma unroll
  for (int k = 0; k < 4 * C; ++k) levels[k] = clipped(levels[k] + ((sums[k] * __ldg(scales + levels[k]) + (1 << 15)) >> 16));
}

template <int C>
static __device__ __forceinline__ void with_impulses(
    const Pass& pass, const char*, const int16_t* __restrict__ bank, int x, int y, int (&levels)[4 * C]) {
  const Impulses& own = head_of<Impulses>(pass);
  int sums[4];                                              // one a pixel
  sums_of_bank<1>(bank, own.reads, true, x, y, sums);
  uint32_t dark = 0, light = 0;                             // a bit a pixel, so that sums take no room beside levels
#pragma unroll
  for (int pixel = 0; pixel < 4; ++pixel) {
    dark |= (uint32_t)(sums[pixel] < own.low) << pixel;
    light |= (uint32_t)(sums[pixel] > own.high) << pixel;
  }
  levels_of<C>(pass, x, y, levels);
#pragma unroll
  for (int k = 0; k < 4 * C; ++k) levels[k] = dark >> k / C & 1 ? own.dark : light >> k / C & 1 ? own.light : levels[k];
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
      changed_by<3>(pass, parameters, bank, x, y, levels);                                                           \
      finish<3>(pass, parameters, bank, x, y, levels);                                                               \
    } else {                                                                                                         \
      int levels[4];                                                                                                 \
      changed_by<1>(pass, parameters, bank, x, y, levels);                                                           \
      finish<1>(pass, parameters, bank, x, y, levels);                                                               \
    }                                                                                                                \
  }

BANK_KERNEL(level_noise, with_level_noise)
EXPORT(level_noise)
BANK_KERNEL(impulses, with_impulses)
EXPORT(impulses)
