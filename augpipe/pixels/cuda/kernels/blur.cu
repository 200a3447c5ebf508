// Gaussian blur in whole 1/256, as cv2.GaussianBlur computes 8-bit pictures: along rows into 16 bits without rounding,
// then along columns with one rounding. Weights add up to 256, so nothing overflows.

struct Blur { int32_t weights, radius; };  // place of 2·radius + 1 int32 among the parameters

template <int C>
static __device__ __forceinline__ void along_rows(const Pass& pass, const int32_t* __restrict__ weights, int x, int y) {
  const uint8_t* row = (const uint8_t*)pass.source + (int64_t)y * pass.source_pitch;
  uint16_t* out = (uint16_t*)pass.target + (int64_t)y * pass.target_w * C;
  const int radius = head_of<Blur>(pass).radius, w = pass.source_w;
  for (int pixel = x; pixel < min(x + 4 * APART, w); pixel += APART) {
    int sums[C] = {};
    for (int k = -radius; k <= radius; ++k) {
      const int weight = __ldg(weights + radius + k);
      const uint8_t* from = row + (int64_t)at_border(pixel + k, w, MIRROR) * C;
#pragma unroll
      for (int c = 0; c < C; ++c) sums[c] += weight * __ldg(from + c);
    }
#pragma unroll
    for (int c = 0; c < C; ++c) out[(int64_t)pixel * C + c] = (uint16_t)sums[c];
  }
}

template <int C>
static __device__ __forceinline__ void along_columns(
    const Pass& pass, const char* parameters, int x, int y, int (&levels)[4 * C]) {
  const int32_t* weights = (const int32_t*)(parameters + head_of<Blur>(pass).weights);
  const uint16_t* rows = (const uint16_t*)pass.source;
  const int radius = head_of<Blur>(pass).radius, w = pass.target_w, h = pass.target_h;
#pragma unroll
  for (int i = 0; i < 4 * C; ++i) levels[i] = 1 << 15;
  for (int k = -radius; k <= radius; ++k) {
    const int weight = __ldg(weights + radius + k);
    const uint16_t* from = rows + (int64_t)at_border(y + k, h, MIRROR) * w * C;
#pragma unroll
    for (int pixel = 0; pixel < 4; ++pixel)
#pragma unroll
      for (int c = 0; c < C; ++c)
        levels[pixel * C + c] += weight * __ldg(from + (int64_t)min(x + pixel * APART, w - 1) * C + c);
  }
#pragma unroll
  for (int i = 0; i < 4 * C; ++i) levels[i] >>= 16;
}

extern "C" __global__ void __launch_bounds__(256) blur_rows(
    const Pass* __restrict__ passes, int count, const char* __restrict__ parameters,
    const int16_t* __restrict__ bank) {
  const Pass& pass = pass_of(passes, count, (int)blockIdx.x);
  int x, y;
  if (!place_of(pass, x, y)) return;
  const int32_t* weights = (const int32_t*)(parameters + head_of<Blur>(pass).weights);
  if (pass.channels == 3) along_rows<3>(pass, weights, x, y); else along_rows<1>(pass, weights, x, y);
}
EXPORT(blur_rows)

PICTURE_KERNEL(blur_columns, along_columns)
