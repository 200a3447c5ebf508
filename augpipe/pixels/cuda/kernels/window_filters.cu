// Means and medians of a window, and weighted sums of neighbors, mirrored at the edge without the edge pixel.

static __device__ __forceinline__ int level_at(const Pass& pass, int x, int y, int channels, int c) {
  const int px = at_border(x, pass.source_w, MIRROR), py = at_border(y, pass.source_h, MIRROR);
  return __ldg((const uint8_t*)pass.source + (int64_t)py * pass.source_pitch + (int64_t)px * channels + c);
}

// --- the mean: pixels/steps/window_filters.py. Up to 63 × 63 levels fit in 32 bits.

struct Window { int32_t w, h; };

template <int C>
static __device__ __forceinline__ void mean_of_window(const Pass& pass, const char*, int x, int y, int (&levels)[4 * C]) {
  const int w = head_of<Window>(pass).w, h = head_of<Window>(pass).h, n = w * h;
#pragma unroll
  for (int i = 0; i < 4 * C; ++i) {
    int sum = n / 2;
#pragma unroll 1
    for (int dy = -(h / 2); dy <= h / 2; ++dy)
#pragma unroll 1
      for (int dx = -(w / 2); dx <= w / 2; ++dx) sum += level_at(pass, x + i / C * APART + dx, y + dy, C, i % C);
    levels[i] = sum / n;
  }
}

PICTURE_KERNEL(box_blur, mean_of_window)

// --- the median: the least level that at least half of the window does not exceed, by halving 0..255. It takes eight
// looks at the window and no memory, where sorting would take an array a thread.

struct Square { int32_t side; };

template <int C>
static __device__ __forceinline__ void median_of_window(const Pass& pass, const char*, int x, int y, int (&levels)[4 * C]) {
  const int reach = head_of<Square>(pass).side / 2, half = (2 * reach + 1) * (2 * reach + 1) / 2 + 1;
#pragma unroll
  for (int i = 0; i < 4 * C; ++i) {
    int low = 0, high = 255;
#pragma unroll 1
    while (low < high) {
      const int middle = (low + high) >> 1;
      int below = 0;
#pragma unroll 1
      for (int dy = -reach; dy <= reach; ++dy)
#pragma unroll 1
        for (int dx = -reach; dx <= reach; ++dx)
          below += level_at(pass, x + i / C * APART + dx, y + dy, C, i % C) <= middle;
      if (below >= half) high = middle; else low = middle + 1;
    }
    levels[i] = low;
  }
}

PICTURE_KERNEL(median_blur, median_of_window)

// --- weighted sums: pixels/steps/taps.py

struct TapList { int32_t place, count; };  // of (dx, dy, weight) among the parameters

template <int C>
static __device__ __forceinline__ void sum_of_taps(
    const Pass& pass, const char* parameters, int x, int y, int (&levels)[4 * C]) {
  const int32_t* tap = (const int32_t*)(parameters + head_of<TapList>(pass).place);
#pragma unroll
  for (int i = 0; i < 4 * C; ++i) levels[i] = 1 << 11;
  for (int k = 0; k < head_of<TapList>(pass).count; ++k, tap += 3) {
    const int dx = __ldg(tap), dy = __ldg(tap + 1), weight = __ldg(tap + 2);
#pragma unroll
    for (int i = 0; i < 4 * C; ++i) levels[i] += weight * level_at(pass, x + i / C * APART + dx, y + dy, C, i % C);
  }
#pragma unroll
  for (int i = 0; i < 4 * C; ++i) levels[i] = clipped(levels[i] >> 12);
}

PICTURE_KERNEL(taps, sum_of_taps)
