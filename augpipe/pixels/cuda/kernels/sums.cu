// Sums of a picture's levels, for contrast about its mean. Each thread adds up columns 32 apart in rows `rows` apart, into
// 32 bits of its own, and the host adds those up: whole numbers, whose order does not matter.

struct Sums { int32_t rows; };  // of threads, in all blocks of the picture

template <int C>
static __device__ __forceinline__ void sum_up(const Pass& pass, int first_x, int first_y) {
  uint32_t sums[C] = {};
  for (int y = first_y; y < pass.source_h; y += head_of<Sums>(pass).rows) {
    const uint8_t* row = (const uint8_t*)pass.source + (int64_t)y * pass.source_pitch;
    for (int x = first_x; x < pass.source_w; x += 32)
#pragma unroll
      for (int c = 0; c < C; ++c) sums[c] += __ldg(row + (int64_t)x * C + c);
  }
  uint32_t* out = (uint32_t*)pass.target + (first_y * 32 + first_x) * C;
#pragma unroll
  for (int c = 0; c < C; ++c) out[c] = sums[c];
}

extern "C" __global__ void __launch_bounds__(256) sums(
    const Pass* __restrict__ passes, int count, const char* __restrict__ parameters,
    const int16_t* __restrict__ bank) {
  const Pass& pass = pass_of(passes, count, (int)blockIdx.x);
  const int y = ((int)blockIdx.x - pass.first_tile) * 8 + (int)threadIdx.y;
  if (pass.channels == 3) sum_up<3>(pass, (int)threadIdx.x, y);
  else sum_up<1>(pass, (int)threadIdx.x, y);
}
EXPORT(sums)
