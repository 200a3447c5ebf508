// Warps: exact copies, block means, and the one fixed-point map of augpipe/sampling.py with its own arithmetic.

// --- copies ----------------------------------------------------------------------------------------------------------

template <int C>
static __device__ __forceinline__ void copied(const Pass& pass, const char*, int x, int y, int (&levels)[4 * C]) {
  const uint8_t* source = (const uint8_t*)pass.source;
  const Copy& m = pass.copy;
  const int sx = m.xx * x + m.xy * y + m.x0, sy = m.yx * x + m.yy * y + m.y0;
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

template <int C>
static __device__ __forceinline__ void averaged(const Pass& pass, const char*, int x, int y, int (&levels)[4 * C]) {
  const int side_x = pass.means.side_x, side_y = pass.means.side_y;
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
                                  : clipped(__float2int_rn(__fmul_rn((float)sums[c], pass.means.share)));
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

template <int C>
static __device__ __forceinline__ void interpolate(const Pass& pass, int fine_x, int fine_y, int* levels) {
  const int sx = sixteen_bits(fine_x >> 5), sy = sixteen_bits(fine_y >> 5), a = fine_x & 31, b = fine_y & 31;
  const int w11 = a * b, w10 = (a << 5) - w11, w01 = (b << 5) - w11, w00 = 1024 - (a << 5) - w01;
  const uint8_t* source = (const uint8_t*)pass.source;
  if ((unsigned)sx < (unsigned)(pass.source_w - 1) && (unsigned)sy < (unsigned)(pass.source_h - 1)) {
    const uint8_t* upper = source + (int64_t)sy * pass.source_pitch + sx * C;
    const uint8_t* lower = upper + pass.source_pitch;
#pragma unroll
    for (int c = 0; c < C; ++c) {
      const int sum = w00 * __ldg(upper + c) + w10 * __ldg(upper + C + c) + w01 * __ldg(lower + c) +
                      w11 * __ldg(lower + C + c);
      levels[c] = (sum + 512) >> 10;
    }
    return;
  }
  const int x0 = at_border(sx, pass.source_w, pass.border) * C, x1 = at_border(sx + 1, pass.source_w, pass.border) * C;
  const int y0 = at_border(sy, pass.source_h, pass.border), y1 = at_border(sy + 1, pass.source_h, pass.border);
  const uint8_t* upper = source + (int64_t)y0 * pass.source_pitch;
  const uint8_t* lower = source + (int64_t)y1 * pass.source_pitch;
#pragma unroll
  for (int c = 0; c < C; ++c) {
    const int fill = fill_of(pass, c);
    const int sum = w00 * ((x0 | y0) < 0 ? fill : __ldg(upper + x0 + c)) +
                    w10 * ((x1 | y0) < 0 ? fill : __ldg(upper + x1 + c)) +
                    w01 * ((x0 | y1) < 0 ? fill : __ldg(lower + x0 + c)) +
                    w11 * ((x1 | y1) < 0 ? fill : __ldg(lower + x1 + c));
    levels[c] = (sum + 512) >> 10;
  }
}

template <int C>
static __device__ __forceinline__ void warped(const Pass& pass, const char*, int x, int y, int (&levels)[4 * C]) {
  const float line_x = line(pass.map, y), line_y = line(pass.map + 3, y);
  const float line_z = pass.projective ? line(pass.map + 6, y) : 0.0f;
#pragma unroll
  for (int pixel = 0; pixel < 4; ++pixel) {
    float px = __fadd_rn(line_x, column(pass.map, x + pixel * APART));
    float py = __fadd_rn(line_y, column(pass.map + 3, x + pixel * APART));
    if (pass.projective) {
      const float depth = __fadd_rn(line_z, column(pass.map + 6, x + pixel * APART));
      const bool behind = depth <= 1e-6f;  // past the horizon: far outside
      px = behind ? -1e6f : __fdiv_rn(px, depth);
      py = behind ? -1e6f : __fdiv_rn(py, depth);
    }
    interpolate<C>(pass, on_grid(px), on_grid(py), levels + pixel * C);
  }
}

// --- kernels ---------------------------------------------------------------------------------------------------------

PICTURE_KERNEL(copy, copied)
PICTURE_KERNEL(means, averaged)
PICTURE_KERNEL(warp, warped)
