// Tables of a picture's own histograms: pixels/steps/stats.py. Three passes, each of which takes the picture along with its
// numbers behind it: counts of tiles, tables of them, and the picture through the tables. A thread has a tile to itself, so
// nothing is shared and no order matters.

enum Made { EQUALIZE = 0, STRETCH = 1, ADAPT = 2 };

struct Measure {
  int32_t tiles_x, tiles_y, planes, luma, kind, limit, tile_w, tile_h;  // STRETCH: limit in 1/1000 of the pixels
  float inverse_w, inverse_h;
};

static __device__ __forceinline__ int32_t* numbers_behind(uint64_t picture, const Pass& pass) {
  const int64_t nbytes = (int64_t)pass.source_w * pass.source_h * pass.channels;
  return (int32_t*)(picture + (uint64_t)((nbytes + 7) / 8 * 8));
}

static __device__ __forceinline__ int luma_at(const uint8_t* pixel) {
  return (306 * __ldg(pixel) + 601 * __ldg(pixel + 1) + 117 * __ldg(pixel + 2) + 512) >> 10;
}

static __device__ __forceinline__ int measured_at(const Pass& pass, const Measure& own, int x, int y, int plane) {
  const uint8_t* pixel = (const uint8_t*)pass.source + (int64_t)y * pass.source_pitch + (int64_t)x * pass.channels;
  return own.luma ? luma_at(pixel) : __ldg(pixel + plane);
}

template <int C>
static __device__ __forceinline__ void take_along(const Pass& pass, int x, int y) {
  int levels[4 * C];
  levels_of<C>(pass, x, y, levels);
  store<C>(pass, x, y, levels);
}

// Thread number of its picture, counted through its blocks, and how many there are.
static __device__ __forceinline__ int thread_of(const Pass& pass) {
  return ((int)blockIdx.x - pass.first_tile) * 256 + (int)threadIdx.y * 32 + (int)threadIdx.x;
}

static __device__ __forceinline__ int threads_of(const Pass& pass) {
  return (pass.target_w + TILE_W - 1) / TILE_W * ((pass.target_h + TILE_H - 1) / TILE_H) * 256;
}

static __device__ __forceinline__ void count_tile(const Pass& pass, const Measure& own, int tile) {
  int32_t* counts = numbers_behind(pass.target, pass) + (int64_t)tile * 256;
  for (int k = 0; k < 256; ++k) counts[k] = 0;
  const int plane = tile % own.planes, place = tile / own.planes;
  const int column = place % own.tiles_x, row = place / own.tiles_x;
  if (own.kind == ADAPT) {
    for (int y = row * own.tile_h; y < (row + 1) * own.tile_h; ++y)
      for (int x = column * own.tile_w; x < (column + 1) * own.tile_w; ++x)
        ++counts[measured_at(pass, own, at_border(x, pass.source_w, MIRROR), at_border(y, pass.source_h, MIRROR), plane)];
    return;
  }
  // Rows and columns a tile's number apart, so that neighbouring threads read neighbours.
  for (int y = row; y < pass.source_h; y += own.tiles_y)
    for (int x = column; x < pass.source_w; x += own.tiles_x) ++counts[measured_at(pass, own, x, y, plane)];
}

static __device__ __forceinline__ void adapt(int32_t* table, const Measure& own) {
  int excess = 0;
  for (int k = 0; k < 256; ++k)
    if (table[k] > own.limit) {
      excess += table[k] - own.limit;
      table[k] = own.limit;
    }
  const int each = excess / 256;
  int rest = excess - each * 256;
  for (int k = 0; k < 256; ++k) table[k] += each;
  if (rest) {
    const int step = max(256 / rest, 1);
    for (int k = 0; k < 256 && rest > 0; k += step, --rest) ++table[k];
  }
  const float scale = 255.0f / (float)(own.tile_w * own.tile_h);
  int sum = 0;
  for (int k = 0; k < 256; ++k) {
    sum += table[k];
    table[k] = clipped(__float2int_rn(__fmul_rn((float)sum, scale)));
  }
}

static __device__ __forceinline__ void equalize(int32_t* table, int64_t pixels) {
  int last = 255;
  while (last > 0 && !table[last]) --last;
  const int64_t step = (pixels - table[last]) / 255;
  int64_t below = 0;
  for (int k = 0; k < 256; ++k) {
    const int count = table[k];
    table[k] = step ? (int)min((step / 2 + below) / step, (int64_t)255) : k;
    below += count;
  }
}

static __device__ __forceinline__ void stretch(int32_t* table, int64_t pixels, int thousandths) {
  const int64_t off = pixels * thousandths / 1000;
  int low = 0, high = 255;
  for (int64_t sum = table[0]; sum <= off && low < 255; sum += table[++low]) {}
  for (int64_t sum = table[255]; sum <= off && high > 0; sum += table[--high]) {}
  const double scale = high > low ? 255.0 / (double)(high - low) : 1.0;
  const double offset = high > low ? __dmul_rn(-(double)low, scale) : 0.0;
  for (int k = 0; k < 256; ++k) table[k] = clipped((int)__dadd_rn(__dmul_rn((double)k, scale), offset));
}

static __device__ __forceinline__ void make_table(const Pass& pass, const Measure& own, int number) {
  const int32_t* counts = numbers_behind(pass.source, pass);
  int32_t* table = numbers_behind(pass.target, pass) + (int64_t)number * 256;
  if (own.kind == ADAPT) {
    for (int k = 0; k < 256; ++k) table[k] = counts[(int64_t)number * 256 + k];
    adapt(table, own);
    return;
  }
  for (int k = 0; k < 256; ++k) table[k] = 0;
  for (int tile = number; tile < own.tiles_x * own.tiles_y * own.planes; tile += own.planes)
    for (int k = 0; k < 256; ++k) table[k] += counts[(int64_t)tile * 256 + k];
  const int64_t pixels = (int64_t)pass.source_w * pass.source_h;
  if (own.kind == EQUALIZE) equalize(table, pixels); else stretch(table, pixels, own.limit);
}

#define MEASURING_KERNEL(name, does, how_many)                                                                       \
  extern "C" __global__ void __launch_bounds__(256) name(                                                            \
      const Pass* __restrict__ passes, int count, const char* __restrict__ parameters,                               \
      const int16_t* __restrict__ bank) {                                                                            \
    const Pass& pass = pass_of(passes, count, (int)blockIdx.x);                                                      \
    const Measure& own = head_of<Measure>(pass);                                                                     \
    for (int i = thread_of(pass); i < (how_many); i += threads_of(pass)) does(pass, own, i);                         \
    int x, y;                                                                                                        \
    if (!place_of(pass, x, y)) return;                                                                               \
    if (pass.channels == 3) take_along<3>(pass, x, y); else take_along<1>(pass, x, y);                               \
  }

MEASURING_KERNEL(tile_counts, count_tile, own.tiles_x * own.tiles_y * own.planes)
EXPORT(tile_counts)
MEASURING_KERNEL(tile_tables, make_table, own.kind == ADAPT ? own.tiles_x * own.tiles_y : own.planes)
EXPORT(tile_tables)

static __device__ __forceinline__ void tiles_about(
    int place, float inverse, int tiles, int& first, int& second, float& share) {
  const float at = __fadd_rn(__fmul_rn((float)place, inverse), -0.5f);
  const int before = at < 0.0f ? -1 : (int)at;              // never below −1/2
  share = __fadd_rn(at, -(float)before);
  first = max(before, 0);
  second = min(before + 1, tiles - 1);
}

static __device__ __forceinline__ int adapted(const int32_t* tables, const Measure& own, int x, int y, int level) {
  int top, bottom, left, right;
  float of_bottom, of_right;
  tiles_about(y, own.inverse_h, own.tiles_y, top, bottom, of_bottom);
  tiles_about(x, own.inverse_w, own.tiles_x, left, right, of_right);
  const float of_top = __fadd_rn(1.0f, -of_bottom), of_left = __fadd_rn(1.0f, -of_right);
  const int32_t* upper = tables + (int64_t)top * own.tiles_x * 256 + level;
  const int32_t* lower = tables + (int64_t)bottom * own.tiles_x * 256 + level;
  const float above = __fadd_rn(__fmul_rn((float)__ldg(upper + left * 256), of_left),
                                __fmul_rn((float)__ldg(upper + right * 256), of_right));
  const float below = __fadd_rn(__fmul_rn((float)__ldg(lower + left * 256), of_left),
                                __fmul_rn((float)__ldg(lower + right * 256), of_right));
  return clipped(__float2int_rn(__fadd_rn(__fmul_rn(above, of_top), __fmul_rn(below, of_bottom))));
}

template <int C>
static __device__ __forceinline__ void through_tables(const Pass& pass, const char*, int x, int y, int (&levels)[4 * C]) {
  const Measure& own = head_of<Measure>(pass);
  const int32_t* tables = numbers_behind(pass.source, pass);
  levels_of<C>(pass, x, y, levels);
#pragma unroll
  for (int pixel = 0; pixel < 4; ++pixel) {
    const int px = min(x + pixel * APART, pass.source_w - 1);
    int* own_levels = levels + pixel * C;
    if (own.luma || own.kind == ADAPT) {
      const int before = C == 3 ? measured_at(pass, own, px, y, 0) : own_levels[0];
      const int after = own.kind == ADAPT ? adapted(tables, own, px, y, before) : __ldg(tables + before);
#pragma unroll
      for (int c = 0; c < C; ++c) own_levels[c] = clipped(own_levels[c] + after - before);
    } else {
#pragma unroll
      for (int c = 0; c < C; ++c) own_levels[c] = __ldg(tables + c * 256 + own_levels[c]);
    }
  }
}

PICTURE_KERNEL(by_tables, through_tables)
