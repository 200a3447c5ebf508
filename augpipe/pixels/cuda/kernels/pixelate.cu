// Means of blocks, and blocks painted or interpolated: pixels/steps/pixelate.py.

struct Blocks { int32_t side, smooth; };

template <int C>
static __device__ __forceinline__ void mean_of_block(const Pass& pass, const char*, int x, int y, int (&levels)[4 * C]) {
  const int side = head_of<Blocks>(pass).side;
  const int top = y * side, h = min(side, pass.source_h - top);
#pragma unroll
  for (int i = 0; i < 4 * C; ++i) {
    const int left = min(x + i / C * APART, pass.target_w - 1) * side, w = min(side, pass.source_w - left), n = w * h;
    int sum = 0;
    for (int row = 0; row < h; ++row) {
      const uint8_t* from = (const uint8_t*)pass.source + (int64_t)(top + row) * pass.source_pitch + (int64_t)left * C + i % C;
      for (int column = 0; column < w; ++column) sum += __ldg(from + column * C);
    }
    levels[i] = (2 * sum + n) / (2 * n);
  }
}

PICTURE_KERNEL(block_means, mean_of_block)

// The blocks before and behind a pixel, and the weight of the latter in 1/(2·side).
static __device__ __forceinline__ void blocks_about(int place, int side, int count, int& before, int& behind, int& weight) {
  const int twice = 2 * place + 1 - side;
  const int first = twice < 0 ? -1 : twice / (2 * side);    // never below −1, as side ≥ 1
  weight = twice - first * 2 * side;
  before = min(max(first, 0), count - 1);
  behind = min(max(first + 1, 0), count - 1);
}

template <int C>
static __device__ __forceinline__ void painted_blocks(const Pass& pass, const char*, int x, int y, int (&levels)[4 * C]) {
  const int side = head_of<Blocks>(pass).side, all = 2 * side;
  const uint8_t* source = (const uint8_t*)pass.source;
  int upper, lower, of_lower;
  blocks_about(y, side, pass.source_h, upper, lower, of_lower);
#pragma unroll
  for (int i = 0; i < 4 * C; ++i) {
    const int px = min(x + i / C * APART, pass.target_w - 1);
    if (!head_of<Blocks>(pass).smooth) {
      levels[i] = __ldg(source + (int64_t)(y / side) * pass.source_pitch + (int64_t)(px / side) * C + i % C);
      continue;
    }
    int left, right, of_right;
    blocks_about(px, side, pass.source_w, left, right, of_right);
    const uint8_t* above = source + (int64_t)upper * pass.source_pitch + i % C;
    const uint8_t* below = source + (int64_t)lower * pass.source_pitch + i % C;
    const int at_left = (all - of_lower) * __ldg(above + (int64_t)left * C) + of_lower * __ldg(below + (int64_t)left * C);
    const int at_right = (all - of_lower) * __ldg(above + (int64_t)right * C) + of_lower * __ldg(below + (int64_t)right * C);
    levels[i] = ((all - of_right) * at_left + of_right * at_right + all * side) / (all * all);
  }
}

PICTURE_KERNEL(paint_blocks, painted_blocks)
