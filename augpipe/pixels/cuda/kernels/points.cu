// Point operations, run behind whatever made the pixels: a program of operations in plan order, all on four pixels that
// stay in registers. Neighbouring steps of a plan so cost one pass over memory, not one each.

enum Kind { MATRIX = 0, TABLE = 1, NOISE = 2, OUTSIDE_BOX = 3, OUTSIDE_REGION = 4, BOXES = 5 };

struct Operation {                                          // 64 bytes, as pixels/cuda/launch.py packs them
  int32_t kind, count;                                      // count: of region sides or boxes
  uint32_t fill;
  int32_t place;                                            // of what it reads, among the parameters
  int32_t values[12];
};

#define BANK_LENGTH 4194301                                 // pixels/steps/noise.py

// out = clip((Σ qᵢ·vᵢ + q₃ + 512) >> 10), augpipe/core/color.py, for a matrix whose sums fit in 32 bits.
static __device__ __forceinline__ void recolor(const int32_t* __restrict__ q, int (&levels)[12]) {
#pragma unroll
  for (int pixel = 0; pixel < 12; pixel += 3) {
    const int red = levels[pixel], green = levels[pixel + 1], blue = levels[pixel + 2];
#pragma unroll
    for (int c = 0; c < 3; ++c)
      levels[pixel + c] =
          clipped((q[4 * c] * red + q[4 * c + 1] * green + q[4 * c + 2] * blue + q[4 * c + 3] + 512) >> 10);
  }
}

// Numbers of the bank, summed over `reads` of (place, step, growth) each, in a pixel for blue, green, red:
// augpipe/pixels/steps/noise.py. Behind its end the bank begins again, as far as a thread reads.
template <int C>
static __device__ __forceinline__ void add_noise(
    const int16_t* __restrict__ bank, const Operation& operation, int x, int y, int (&levels)[4 * C]) {
  const int32_t* read = operation.values + 1;
  const uint64_t growths = (uint64_t)y * (uint64_t)(y - 1) / 2 % BANK_LENGTH;
  int sums[4 * C] = {};
  for (int i = 0; i < operation.count; ++i, read += 3) {
    const uint64_t first = (uint64_t)__ldg(read) + (uint64_t)__ldg(read + 1) * (uint64_t)y +
                           (uint64_t)__ldg(read + 2) * growths + (uint64_t)x * C;
    const int16_t* from = bank + first % BANK_LENGTH;
#pragma unroll
    for (int pixel = 0; pixel < 4; ++pixel)
#pragma unroll
      for (int c = 0; c < C; ++c) sums[pixel * C + c] += __ldg(from + pixel * APART * C + C - 1 - c);
  }
#pragma unroll
  for (int k = 0; k < 4 * C; ++k) {
    const uint32_t added = (uint32_t)sums[k] * (uint32_t)operation.values[0] + (1u << 15);
    levels[k] = clipped(levels[k] + ((int)added >> 16));
  }
}

// Which of four pixels have their centre outside a convex region, a bit each: pixels/resample.py.
static __device__ __forceinline__ uint32_t outside_region(const double* __restrict__ sides, int count, int x, int y) {
  uint32_t outside = count > 0 ? 0 : 15;
  for (int side = 0; side < count; ++side, sides += 4) {
    const double across = __dmul_rn(__ldg(sides), __dadd_rn(y + 0.5, -__ldg(sides + 3)));
    const double against = -__ldg(sides + 1), left = __ldg(sides + 2);
#pragma unroll
    for (int pixel = 0; pixel < 4; ++pixel) {
      const double along = __dmul_rn(against, __dadd_rn((x + pixel * APART) + 0.5, -left));
      if (!(__dadd_rn(across, along) >= 0.0)) outside |= 1u << pixel;
    }
  }
  return outside;
}

static __device__ __forceinline__ uint32_t in_boxes(const int32_t* __restrict__ boxes_xyxy, int count, int x, int y) {
  uint32_t inside = 0;
  for (int box = 0; box < count; ++box, boxes_xyxy += 4) {
    if (y < __ldg(boxes_xyxy + 1) || y >= __ldg(boxes_xyxy + 3)) continue;
    const int x0 = __ldg(boxes_xyxy), x1 = __ldg(boxes_xyxy + 2);
#pragma unroll
    for (int pixel = 0; pixel < 4; ++pixel)
      if (x0 <= x + pixel * APART && x + pixel * APART < x1) inside |= 1u << pixel;
  }
  return inside;
}

template <int C>
static __device__ __forceinline__ void paint(
    const Operation& operation, const char* __restrict__ parameters, int x, int y, int (&levels)[4 * C]) {
  const char* own = parameters + operation.place;
  const uint32_t painted = operation.kind == OUTSIDE_REGION
                               ? outside_region((const double*)own, operation.count, x, y)
                               : in_boxes((const int32_t*)own, operation.count, x, y) ^
                                     (operation.kind == OUTSIDE_BOX ? 15u : 0u);
  if (!painted) return;
#pragma unroll
  for (int i = 0; i < 4 * C; ++i)
    if (painted >> (i / C) & 1) levels[i] = (int)(operation.fill >> (8 * (i % C))) & 255;
}

// Everything that the pass still does to its four pixels, and out with them.
template <int C>
static __device__ __forceinline__ void finish(
    const Pass& pass, const char* __restrict__ parameters, const int16_t* __restrict__ bank, int x, int y,
    int (&levels)[4 * C]) {
  const Operation* operations = (const Operation*)(parameters + pass.program);
  for (int i = 0; i < pass.operations; ++i) {
    const Operation& operation = operations[i];
    switch (operation.kind) {
      case MATRIX:
        if constexpr (C == 3) recolor(operation.values, levels);
        break;
      case TABLE:
#pragma unroll
        for (int k = 0; k < 4 * C; ++k)
          levels[k] = __ldg((const uint8_t*)parameters + operation.place + (operation.count ? k % C * 256 : 0) + levels[k]);
        break;
      case NOISE:
        add_noise<C>(bank, operation, x, y, levels);
        break;
      default:
        paint<C>(operation, parameters, x, y, levels);
    }
  }
  store<C>(pass, x, y, levels);
}

// A kernel whose threads get their four pixels in one way and finish them all alike.
#define PICTURE_KERNEL(name, pixels_by)                                                                              \
  extern "C" __global__ void __launch_bounds__(256) name(                                                            \
      const Pass* __restrict__ passes, int count, const char* __restrict__ parameters,                               \
      const int16_t* __restrict__ bank) {                                                                            \
    const Pass& pass = pass_of(passes, count, (int)blockIdx.x);                                                      \
    int x, y;                                                                                                        \
    if (!place_of(pass, x, y)) return;                                                                               \
    if (pass.channels == 3) {                                                                                        \
      int levels[12];                                                                                                \
      pixels_by<3>(pass, parameters, x, y, levels);                                                                  \
      finish<3>(pass, parameters, bank, x, y, levels);                                                               \
    } else {                                                                                                         \
      int levels[4];                                                                                                 \
      pixels_by<1>(pass, parameters, x, y, levels);                                                                  \
      finish<1>(pass, parameters, bank, x, y, levels);                                                               \
    }                                                                                                                \
  }                                                                                                                  \
  EXPORT(name)

// --- the matrix whose sums do not fit in 32 bits: a pass of its own, as 64-bit sums would cost every other one registers

struct Wide { int32_t place; };  // of 12 int64 among the parameters

template <int C>
static __device__ __forceinline__ void recolored(
    const Pass& pass, const char* parameters, int x, int y, int (&levels)[4 * C]) {
  const int64_t* q = (const int64_t*)(parameters + head_of<Wide>(pass).place);
  const uint8_t* row = (const uint8_t*)pass.source + (int64_t)y * pass.source_pitch;
#pragma unroll
  for (int pixel = 0; pixel < 4; ++pixel) {
    const uint8_t* from = row + (int64_t)min(x + pixel * APART, pass.source_w - 1) * C;
    const int red = __ldg(from), green = __ldg(from + C / 2), blue = __ldg(from + C - 1);
#pragma unroll
    for (int c = 0; c < C; ++c) {
      const int64_t sum = q[4 * c] * red + q[4 * c + 1] * green + q[4 * c + 2] * blue + q[4 * c + 3] + 512;
      levels[pixel * C + c] = sum < 0 ? 0 : sum >= 256 << 10 ? 255 : (int)(sum >> 10);
    }
  }
}

PICTURE_KERNEL(matrix, recolored)
