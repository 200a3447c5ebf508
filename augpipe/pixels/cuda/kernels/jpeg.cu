// JPEG there and back without the file between: what an encoder and a decoder make of a picture, entropy coding left
// out because it loses nothing. Integers throughout, after the accurate methods of libjpeg: color conversion in 1/65536
// (jccolor, jdcolor), chroma halved by sums of four (jcsample), the slow-but-accurate DCT and its inverse of Loeffler,
// Ligtenberg and Moschytz (jfdctint, jidctint), division by the tables of ITU-T T.81 annex K, and chroma brought back
// with weights 3 : 1 (jdsample, "fancy").

struct Jpeg { int32_t tables; };  // place of 2 × 64 pairs: divisor, ⌈2³² / (8 · divisor)⌉

#define JPEG_BLOCKS 64  // blocks of 8 × 8 that a tile of `jpeg_blocks` covers, one a thread

struct Planes {  // luma and two chroma planes one after the other, each of whole blocks
  int luma_w, luma_h, chroma_w, chroma_h;
};

static __device__ __forceinline__ Planes planes_of(int w, int h) {
  Planes planes;
  planes.luma_w = (w + 7) / 8 * 8;
  planes.luma_h = (h + 7) / 8 * 8;
  planes.chroma_w = (w + 15) / 16 * 8;
  planes.chroma_h = (h + 15) / 16 * 8;
  return planes;
}

static __device__ __forceinline__ int rounded_shift(int v, int bits) { return (v + (1 << (bits - 1))) >> bits; }

// --- picture → planes, 128 taken off ---------------------------------------------------------------------------------

template <int C>
static __device__ __forceinline__ int luma_at(const Pass& pass, int x, int y) {
  const uint8_t* p = (const uint8_t*)pass.source + (int64_t)min(y, pass.source_h - 1) * pass.source_pitch +
                     (int64_t)min(x, pass.source_w - 1) * C;
  if (C == 1) return __ldg(p);
  return (19595 * __ldg(p) + 38470 * __ldg(p + 1) + 7471 * __ldg(p + 2) + 32768) >> 16;
}

static __device__ __forceinline__ int chroma_at(const Pass& pass, int x, int y, int plane) {
  const uint8_t* p = (const uint8_t*)pass.source + (int64_t)min(y, pass.source_h - 1) * pass.source_pitch +
                     (int64_t)min(x, pass.source_w - 1) * 3;
  const int red = __ldg(p), green = __ldg(p + 1), blue = __ldg(p + 2), middle = (128 << 16) + 32767;
  return (plane == 1 ? -11059 * red - 21709 * green + 32768 * blue + middle
                     : 32768 * red - 27439 * green - 5329 * blue + middle) >> 16;
}

// Below the picture the last row of *halved* chroma is repeated, beside it the last column of the picture.
static __device__ __forceinline__ int halved_chroma_at(const Pass& pass, int x, int y, int plane) {
  y = min(y, (pass.source_h + 1) / 2 - 1);
  const int sum = chroma_at(pass, 2 * x, 2 * y, plane) + chroma_at(pass, 2 * x + 1, 2 * y, plane) +
                  chroma_at(pass, 2 * x, 2 * y + 1, plane) + chroma_at(pass, 2 * x + 1, 2 * y + 1, plane);
  return (sum + 1 + (x & 1)) >> 2;
}

// --- the transform ---------------------------------------------------------------------------------------------------

#define F_0_298 2446
#define F_0_390 3196
#define F_0_541 4433
#define F_0_765 6270
#define F_0_899 7373
#define F_1_175 9633
#define F_1_501 12299
#define F_1_847 15137
#define F_1_961 16069
#define F_2_053 16819
#define F_2_562 20995
#define F_3_072 25172

// One line of eight with a distance of `step`; `last` is the second direction, which takes the two spare bits off.
template <int step, bool last>
static __device__ __forceinline__ void forward(int* d) {
  const int sum0 = d[0] + d[7 * step], sum1 = d[step] + d[6 * step];
  const int sum2 = d[2 * step] + d[5 * step], sum3 = d[3 * step] + d[4 * step];
  int t7 = d[0] - d[7 * step], t6 = d[step] - d[6 * step], t5 = d[2 * step] - d[5 * step];
  int t4 = d[3 * step] - d[4 * step];
  const int even0 = sum0 + sum3, even3 = sum0 - sum3, even1 = sum1 + sum2, even2 = sum1 - sum2;
  const int bits = last ? 15 : 11;
  d[0] = last ? rounded_shift(even0 + even1, 2) : (even0 + even1) * 4;
  d[4 * step] = last ? rounded_shift(even0 - even1, 2) : (even0 - even1) * 4;
  const int turned = (even2 + even3) * F_0_541;
  d[2 * step] = rounded_shift(turned + even3 * F_0_765, bits);
  d[6 * step] = rounded_shift(turned - even2 * F_1_847, bits);
  const int z5 = (t4 + t6 + t5 + t7) * F_1_175;
  const int z1 = -(t4 + t7) * F_0_899, z2 = -(t5 + t6) * F_2_562;
  const int z3 = z5 - (t4 + t6) * F_1_961, z4 = z5 - (t5 + t7) * F_0_390;
  d[7 * step] = rounded_shift(t4 * F_0_298 + z1 + z3, bits);
  d[5 * step] = rounded_shift(t5 * F_2_053 + z2 + z4, bits);
  d[3 * step] = rounded_shift(t6 * F_3_072 + z2 + z3, bits);
  d[step] = rounded_shift(t7 * F_1_501 + z1 + z4, bits);
}

template <int step, bool last>
static __device__ __forceinline__ void backward(int* d) {
  const int bits = last ? 18 : 11;
  const int turned = (d[2 * step] + d[6 * step]) * F_0_541;
  const int t2 = turned - d[6 * step] * F_1_847, t3 = turned + d[2 * step] * F_0_765;
  const int t0 = (d[0] + d[4 * step]) * 8192, t1 = (d[0] - d[4 * step]) * 8192;
  const int even0 = t0 + t3, even3 = t0 - t3, even1 = t1 + t2, even2 = t1 - t2;
  const int o0 = d[7 * step], o1 = d[5 * step], o2 = d[3 * step], o3 = d[step];
  const int z5 = (o0 + o2 + o1 + o3) * F_1_175;
  const int z1 = -(o0 + o3) * F_0_899, z2 = -(o1 + o2) * F_2_562;
  const int z3 = z5 - (o0 + o2) * F_1_961, z4 = z5 - (o1 + o3) * F_0_390;
  const int odd0 = o0 * F_0_298 + z1 + z3, odd1 = o1 * F_2_053 + z2 + z4;
  const int odd2 = o2 * F_3_072 + z2 + z3, odd3 = o3 * F_1_501 + z1 + z4;
  d[0] = rounded_shift(even0 + odd3, bits);
  d[7 * step] = rounded_shift(even0 - odd3, bits);
  d[step] = rounded_shift(even1 + odd2, bits);
  d[6 * step] = rounded_shift(even1 - odd2, bits);
  d[2 * step] = rounded_shift(even2 + odd1, bits);
  d[5 * step] = rounded_shift(even2 - odd1, bits);
  d[3 * step] = rounded_shift(even3 + odd0, bits);
  d[4 * step] = rounded_shift(even3 - odd0, bits);
}

// Through the transform, to whole multiples of the table (halves away from zero), and back. Coefficients are eight times
// too large; the product with ⌈2³² / (8 · divisor)⌉ is their quotient to the digit as long as they are below 2¹⁶.
static __device__ __forceinline__ void lose(int (&block)[64], const uint32_t* __restrict__ table) {
#pragma unroll
  for (int i = 0; i < 8; ++i) forward<1, false>(block + 8 * i);
#pragma unroll
  for (int i = 0; i < 8; ++i) forward<8, true>(block + i);
#pragma unroll
  for (int i = 0; i < 64; ++i) {
    const uint32_t divisor = __ldg(table + 2 * i), reciprocal = __ldg(table + 2 * i + 1);
    const int whole = (int)(__umulhi((uint32_t)abs(block[i]) + 4 * divisor, reciprocal) * divisor);
    block[i] = block[i] < 0 ? -whole : whole;
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) backward<8, false>(block + i);
#pragma unroll
  for (int i = 0; i < 8; ++i) backward<1, true>(block + 8 * i);
}

extern "C" __global__ void __launch_bounds__(JPEG_BLOCKS) jpeg_blocks(
    const Pass* __restrict__ passes, int count, const char* __restrict__ parameters,
    const int16_t* __restrict__ bank) {
  const Pass& pass = pass_of(passes, count, (int)blockIdx.x);
  const Planes planes = planes_of(pass.source_w, pass.source_h);
  const int64_t luma_bytes = (int64_t)planes.luma_w * planes.luma_h;
  const int64_t chroma_bytes = (int64_t)planes.chroma_w * planes.chroma_h;
  int64_t index = (int64_t)((int)blockIdx.x - pass.first_tile) * JPEG_BLOCKS + (int)threadIdx.x;
  uint8_t* out = (uint8_t*)pass.target;
  int plane = 0, across = planes.luma_w / 8;
  if (index >= luma_bytes / 64) {
    if (pass.channels == 1) return;
    index -= luma_bytes / 64;
    out += luma_bytes;
    plane = 1;
    if (index >= chroma_bytes / 64) { index -= chroma_bytes / 64; out += chroma_bytes; plane = 2; }
    if (index >= chroma_bytes / 64) return;
    across = planes.chroma_w / 8;
  }
  const int y0 = (int)(index / across) * 8, x0 = (int)(index % across) * 8;
  int block[64];
#pragma unroll
  for (int i = 0; i < 64; ++i) {
    const int x = x0 + (i & 7), y = y0 + (i >> 3);
    if (plane) block[i] = halved_chroma_at(pass, x, y, plane) - 128;
    else block[i] = (pass.channels == 3 ? luma_at<3>(pass, x, y) : luma_at<1>(pass, x, y)) - 128;
  }
  lose(block, (const uint32_t*)(parameters + head_of<Jpeg>(pass).tables) + (plane ? 128 : 0));
#pragma unroll
  for (int i = 0; i < 64; ++i)
    out[(int64_t)(y0 + (i >> 3)) * (across * 8) + x0 + (i & 7)] = (uint8_t)clipped(block[i] + 128);
}
EXPORT(jpeg_blocks)

// --- planes → picture ------------------------------------------------------------------------------------------------

// Chroma at a pixel: three parts of the nearest row and column, one of the next; a picture of up to two chroma columns
// takes the nearest alone, as libjpeg does.
static __device__ __forceinline__ int doubled_at(const uint8_t* plane, int pitch, int w, int h, int x, int y) {
  const int cx = x >> 1, cy = y >> 1;
  if (w <= 2) return __ldg(plane + (int64_t)cy * pitch + cx);
  const int next_x = min(max(x & 1 ? cx + 1 : cx - 1, 0), w - 1), next_y = min(max(y & 1 ? cy + 1 : cy - 1, 0), h - 1);
  const uint8_t *near = plane + (int64_t)cy * pitch, *far = plane + (int64_t)next_y * pitch;
  const int here = 3 * __ldg(near + cx) + __ldg(far + cx), beside = 3 * __ldg(near + next_x) + __ldg(far + next_x);
  return (3 * here + beside + (x & 1 ? 7 : 8)) >> 4;
}

template <int C>
static __device__ __forceinline__ void joined(const Pass& pass, const char*, int x, int y, int (&levels)[4 * C]) {
  const Planes planes = planes_of(pass.target_w, pass.target_h);
  const uint8_t* luma = (const uint8_t*)pass.source;
  const uint8_t* blues = luma + (int64_t)planes.luma_w * planes.luma_h;
  const uint8_t* reds = blues + (int64_t)planes.chroma_w * planes.chroma_h;
  const int w = (pass.target_w + 1) / 2, h = (pass.target_h + 1) / 2;
#pragma unroll
  for (int pixel = 0; pixel < 4; ++pixel) {
    const int at = min(x + pixel * APART, pass.target_w - 1);
    const int level = __ldg(luma + (int64_t)y * planes.luma_w + at);
    if (C == 1) { levels[pixel] = level; continue; }
    const int cb = doubled_at(blues, planes.chroma_w, w, h, at, y) - 128;
    const int cr = doubled_at(reds, planes.chroma_w, w, h, at, y) - 128;
    levels[pixel * C] = clipped(level + ((91881 * cr + 32768) >> 16));
    levels[pixel * C + C / 2] = clipped(level + ((-22554 * cb - 46802 * cr + 32768) >> 16));
    levels[pixel * C + C - 1] = clipped(level + ((116130 * cb + 32768) >> 16));
  }
}

PICTURE_KERNEL(jpeg_pixels, joined)
