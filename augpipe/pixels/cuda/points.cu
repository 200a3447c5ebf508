// Point operations, run behind whatever made the pixels: a program of operations in plan order, all on four pixels that
// stay in registers. Neighbouring steps of a plan so cost one pass over memory, not one each.

enum Kind { MATRIX = 0, WIDE_MATRIX = 1, TABLE = 2, NOISE = 3, OUTSIDE_BOX = 4, OUTSIDE_REGION = 5, BOXES = 6 };

struct Operation {                                          // 64 bytes, as descriptors.py packs them
  int32_t kind, count;                                      // count: of region sides or boxes
  uint32_t fill;
  int32_t place;                                            // of what it reads, among the parameters
  int32_t values[12];
};

#define BANK_LENGTH 4194301                                 // noise.LENGTH

// out = clip((Σ qᵢ·vᵢ + q₃ + 512) >> 10): augpipe/colour.py.
template <typename Whole>
static __device__ __forceinline__ void recolour(const Whole* __restrict__ q, int (&levels)[12]) {
#pragma unroll
  for (int pixel = 0; pixel < 12; pixel += 3) {
    const Whole red = levels[pixel], green = levels[pixel + 1], blue = levels[pixel + 2];
#pragma unroll
    for (int c = 0; c < 3; ++c) {
      const Whole sum = (q[4 * c] * red + q[4 * c + 1] * green + q[4 * c + 2] * blue + q[4 * c + 3] + 512) >> 10;
      levels[pixel + c] = (int)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
    }
  }
}

// The bank goes row by row, and in a pixel to blue, green, red: augpipe/pixels/noise.py.
template <int C>
static __device__ __forceinline__ void add_noise(
    const Pass& pass, const int16_t* __restrict__ bank, int scale, int offset, int x, int y, int (&levels)[4 * C]) {
  const uint64_t first = (uint64_t)offset + ((uint64_t)y * (uint64_t)pass.target_w + (uint64_t)x) * C;
  const int start = (int)(first % BANK_LENGTH);
#pragma unroll
  for (int pixel = 0; pixel < 4; ++pixel)
#pragma unroll
    for (int c = 0; c < C; ++c) {
      int at = start + pixel * C + C - 1 - c;
      if (at >= BANK_LENGTH) at -= BANK_LENGTH;
      const int product = (int)((uint32_t)(int)__ldg(bank + at) * (uint32_t)scale + (1u << 15));
      int& level = levels[pixel * C + c];
      level = clipped(level + (product >> 16));
    }
}

// Whether a pixel's centre is in a convex region: four numbers a side, as sampling.region_mask has them.
static __device__ __forceinline__ bool in_region(const double* __restrict__ sides, int count, int x, int y) {
  const double centre_x = x + 0.5, centre_y = y + 0.5;
  for (int side = 0; side < count; ++side) {
    const double ex = sides[4 * side], ey = sides[4 * side + 1], ax = sides[4 * side + 2], ay = sides[4 * side + 3];
    const double across = __dmul_rn(ex, __dadd_rn(centre_y, -ay)), along = __dmul_rn(-ey, __dadd_rn(centre_x, -ax));
    if (!(__dadd_rn(across, along) >= 0.0)) return false;
  }
  return count > 0;
}

static __device__ __forceinline__ bool in_boxes(const int32_t* __restrict__ boxes_xyxy, int count, int x, int y) {
  for (int box = 0; box < count; ++box) {
    const int32_t* b = boxes_xyxy + 4 * box;
    if (b[0] <= x && b[1] <= y && x < b[2] && y < b[3]) return true;
  }
  return false;
}

template <int C>
static __device__ __forceinline__ void paint(
    const Operation& operation, const char* __restrict__ parameters, int x, int y, int (&levels)[4 * C]) {
  const char* own = parameters + operation.place;
#pragma unroll
  for (int pixel = 0; pixel < 4; ++pixel) {
    bool painted;
    if (operation.kind == OUTSIDE_REGION) painted = !in_region((const double*)own, operation.count, x + pixel, y);
    else if (operation.kind == OUTSIDE_BOX) painted = !in_boxes((const int32_t*)own, 1, x + pixel, y);
    else painted = in_boxes((const int32_t*)own, operation.count, x + pixel, y);
#pragma unroll
    for (int c = 0; c < C; ++c)
      if (painted) levels[pixel * C + c] = (int)(operation.fill >> (8 * c)) & 255;
  }
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
        if constexpr (C == 3) recolour<int32_t>(operation.values, levels);
        break;
      case WIDE_MATRIX:
        if constexpr (C == 3) recolour<int64_t>((const int64_t*)(parameters + operation.place), levels);
        break;
      case TABLE:
#pragma unroll
        for (int k = 0; k < 4 * C; ++k) levels[k] = __ldg((const uint8_t*)parameters + operation.place + levels[k]);
        break;
      case NOISE:
        add_noise<C>(pass, bank, operation.values[0], operation.values[1], x, y, levels);
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
