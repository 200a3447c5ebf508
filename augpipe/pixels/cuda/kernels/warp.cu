// Warps: exact copies, block means, and the one fixed-point map of augpipe/pixels/resample.py with its own arithmetic.

// --- copies ----------------------------------------------------------------------------------------------------------

struct Copy { int32_t xx, xy, x0, yx, yy, y0; };  // source index = xx·x + xy·y + x0, and so for y

template <int C>
static __device__ __forceinline__ void copied(const Pass& pass, const char*, int x, int y, int (&levels)[4 * C]) {
  const uint8_t* source = (const uint8_t*)pass.source;
  const Copy& m = head_of<Copy>(pass);
  const int sx = m.xx * x + m.xy * y + m.x0, sy = m.yx * x + m.yy * y + m.y0;
  const int last_x = sx + m.xx * 3 * APART, last_y = sy + m.yx * 3 * APART;
  if ((unsigned)sx < (unsigned)pass.source_w && (unsigned)last_x < (unsigned)pass.source_w &&
      (unsigned)sy < (unsigned)pass.source_h && (unsigned)last_y < (unsigned)pass.source_h) {
    const uint8_t* from = source + (int64_t)sy * pass.source_pitch + (int64_t)sx * C;
    const int64_t apart = ((int64_t)m.yx * pass.source_pitch + m.xx * C) * APART;
#pragma unroll
    for (int pixel = 0; pixel < 4; ++pixel)
#pragma unroll
      for (int c = 0; c < C; ++c) levels[pixel * C + c] = __ldg(from + pixel * apart + c);
    return;
  }
#pragma unroll
  for (int pixel = 0; pixel < 4; ++pixel) {
    const int px = at_border(sx + m.xx * pixel * APART, pass.source_w, pass.border);
    const int py = at_border(sy + m.yx * pixel * APART, pass.source_h, pass.border);
    const uint8_t* from = source + (int64_t)py * pass.source_pitch + (int64_t)px * C;
#pragma unroll
    for (int c = 0; c < C; ++c) levels[pixel * C + c] = (px | py) < 0 ? fill_of(pass, c) : __ldg(from + c);
  }
}

// --- block means -----------------------------------------------------------------------------------------------------

struct Means { int32_t side_x, side_y; float reciprocal; };  // 1 / (side_x · side_y)

template <int C>
static __device__ __forceinline__ void averaged(const Pass& pass, const char*, int x, int y, int (&levels)[4 * C]) {
  const Means& means = head_of<Means>(pass);
  const int side_x = means.side_x, side_y = means.side_y;
#pragma unroll
  for (int pixel = 0; pixel < 4; ++pixel) {
    int sums[C] = {};
    for (int j = 0; j < side_y; ++j) {
      const int py = min(y * side_y + j, pass.source_h - 1);
      const uint8_t* row = (const uint8_t*)pass.source + (int64_t)py * pass.source_pitch;
      for (int i = 0; i < side_x; ++i) {
        const int px = min((x + pixel * APART) * side_x + i, pass.source_w - 1);
#pragma unroll
        for (int c = 0; c < C; ++c) sums[c] += __ldg(row + (int64_t)px * C + c);
      }
    }
#pragma unroll
    for (int c = 0; c < C; ++c)
      levels[pixel * C + c] = side_x == 2 && side_y == 2
                                  ? (sums[c] + 2) >> 2
                                  : clipped(__float2int_rn(__fmul_rn((float)sums[c], means.reciprocal)));
  }
}

// --- interpolation ---------------------------------------------------------------------------------------------------

// Position → 1/32 pixel, halves to even. What is beyond an int becomes the lowest one, as x86 converts: cv2.convertMaps.
static __device__ __forceinline__ int on_grid(float position) {
  const float fine = __fmul_rn(position, 32.0f);
  return fabsf(fine) < 2147483648.0f ? __float2int_rn(fine) : (int)0x80000000;
}

static __device__ __forceinline__ int sixteen_bits(int v) { return min(max(v, -32768), 32767); }

static __device__ __forceinline__ float column(const double* map, int x) {
  return __double2float_rn(__dadd_rn(__dmul_rn(map[0], (double)x), map[2]));
}

static __device__ __forceinline__ float line(const double* map, int y) {
  return __double2float_rn(__dmul_rn(map[1], (double)y));
}

// Four neighbours by shares of 1/1024, rounded half up.
static __device__ __forceinline__ int blended(
    int a, int b, int upper_left, int upper_right, int lower_left, int lower_right) {
  const int w11 = a * b, w10 = (a << 5) - w11, w01 = (b << 5) - w11, w00 = 1024 - (a << 5) - w01;
  return (w00 * upper_left + w10 * upper_right + w01 * lower_left + w11 * lower_right + 512) >> 10;
}

static __device__ __forceinline__ bool is_inside(const Pass& pass, int fine_x, int fine_y) {
  const bool across = (unsigned)(fine_x >> 5) < (unsigned)(pass.source_w - 1);
  return across && (unsigned)(fine_y >> 5) < (unsigned)(pass.source_h - 1);
}

template <int C>
static __device__ __forceinline__ void interpolate_inside(const Pass& pass, int fine_x, int fine_y, int* levels) {
  const uint8_t* upper =
      (const uint8_t*)pass.source + (int64_t)(fine_y >> 5) * pass.source_pitch + (fine_x >> 5) * C;
  const uint8_t* lower = upper + pass.source_pitch;
#pragma unroll
  for (int c = 0; c < C; ++c)
    levels[c] = blended(fine_x & 31, fine_y & 31, __ldg(upper + c), __ldg(upper + C + c), __ldg(lower + c),
                        __ldg(lower + C + c));
}

template <int C>
static __device__ __forceinline__ void interpolate_anywhere(const Pass& pass, int fine_x, int fine_y, int* levels) {
  const int sx = sixteen_bits(fine_x >> 5), sy = sixteen_bits(fine_y >> 5);
  const int x0 = at_border(sx, pass.source_w, pass.border) * C, x1 = at_border(sx + 1, pass.source_w, pass.border) * C;
  const int y0 = at_border(sy, pass.source_h, pass.border), y1 = at_border(sy + 1, pass.source_h, pass.border);
  const uint8_t* upper = (const uint8_t*)pass.source + (int64_t)y0 * pass.source_pitch;
  const uint8_t* lower = (const uint8_t*)pass.source + (int64_t)y1 * pass.source_pitch;
#pragma unroll
  for (int c = 0; c < C; ++c) {
    const int fill = fill_of(pass, c);
    levels[c] = blended(fine_x & 31, fine_y & 31, (x0 | y0) < 0 ? fill : __ldg(upper + x0 + c),
                        (x1 | y0) < 0 ? fill : __ldg(upper + x1 + c), (x0 | y1) < 0 ? fill : __ldg(lower + x0 + c),
                        (x1 | y1) < 0 ? fill : __ldg(lower + x1 + c));
  }
}

template <int C>
static __device__ __forceinline__ void warped(const Pass& pass, const char*, int x, int y, int (&levels)[4 * C]) {
  const double* map = pass.head;  // 3 × 3, from pixel indexes of the target to those of the source
  const float line_x = line(map, y), line_y = line(map + 3, y);
  float px[4], py[4];
#pragma unroll
  for (int pixel = 0; pixel < 4; ++pixel) {
    px[pixel] = __fadd_rn(line_x, column(map, x + pixel * APART));
    py[pixel] = __fadd_rn(line_y, column(map + 3, x + pixel * APART));
  }
  if (pass.projective) {
    const float line_z = line(map + 6, y);
#pragma unroll
    for (int pixel = 0; pixel < 4; ++pixel) {
      const float depth = __fadd_rn(line_z, column(map + 6, x + pixel * APART));
      const bool behind = depth <= 1e-6f;  // past the horizon: far outside
      px[pixel] = behind ? -1e6f : __fdiv_rn(px[pixel], depth);
      py[pixel] = behind ? -1e6f : __fdiv_rn(py[pixel], depth);
    }
  }
  int fine_x[4], fine_y[4];
  bool inside = true;
#pragma unroll
  for (int pixel = 0; pixel < 4; ++pixel) {
    fine_x[pixel] = on_grid(px[pixel]);
    fine_y[pixel] = on_grid(py[pixel]);
    inside = inside && is_inside(pass, fine_x[pixel], fine_y[pixel]);
  }
  // Without a branch between them, the loads of four pixels are on their way together.
  if (inside) {
#pragma unroll
    for (int pixel = 0; pixel < 4; ++pixel)
      interpolate_inside<C>(pass, fine_x[pixel], fine_y[pixel], levels + pixel * C);
  } else {
#pragma unroll
    for (int pixel = 0; pixel < 4; ++pixel)
      interpolate_anywhere<C>(pass, fine_x[pixel], fine_y[pixel], levels + pixel * C);
  }
}

// --- kernels ---------------------------------------------------------------------------------------------------------

PICTURE_KERNEL(copy, copied)
PICTURE_KERNEL(means, averaged)
PICTURE_KERNEL(warp, warped)
