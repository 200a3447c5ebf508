// What every kernel shares: the descriptor of one pass over one picture, tiles, borders, and four pixels in registers.
//
// A launch covers a ragged batch: every picture has a descriptor, the descriptors lie in the order of their first tile,
// and a block finds its own by binary search. Nothing is padded. Pictures are interleaved, red, green, blue or gray.
//
// The same text is compiled by NVRTC and, behind a header, as C++ for the tests: no barrier, no shared memory, no
// function of a maths library, and each float operation one IEEE operation (--fmad=false, -ffp-contract=off).

#ifndef HOST_BUILD
typedef unsigned char uint8_t;
typedef signed char int8_t;
typedef unsigned short uint16_t;
typedef short int16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#define EXPORT(name)
#endif

enum Border { CONSTANT = 0, REPLICATE = 1, REFLECT = 2, WRAP = 3, MIRROR = 4 };

struct Pass {                                               // 128 bytes, as pixels/cuda/launch.py packs them
  uint64_t source, target;                                  // addresses
  int32_t source_w, source_h, target_w, target_h;
  int32_t source_pitch;                                     // bytes a row; targets have no gaps
  int32_t first_tile;
  uint32_t fill;                                            // red, green, blue from the lowest byte; gray: the lowest
  uint8_t channels, border, projective, unused;
  int32_t program, operations;                              // place of the first operation among the parameters
  double head[9];                                           // the kernel's own, see head_of
};

// What a kernel reads besides, as the `head` of its core.plan.Pass is packed; the place of its `table` comes first.
template <typename T>
static __device__ __forceinline__ const T& head_of(const Pass& pass) { return *(const T*)pass.head; }

static __device__ __forceinline__ const Pass& pass_of(const Pass* __restrict__ passes, int count, int tile) {
  int low = 0, high = count - 1;
  while (low < high) {
    const int middle = (low + high + 1) >> 1;
    if (__ldg(&passes[middle].first_tile) <= tile) low = middle; else high = middle - 1;
  }
  return passes[low];
}

// --- tiles: 32 × 8 threads, a thread four pixels of a row ------------------------------------------------------------

#define TILE_W 128
#define TILE_H 8
#define APART 32  // the pixels of a thread are so far from each other, so that neighbouring threads read neighbours

static __device__ __forceinline__ bool place_of(const Pass& pass, int& x, int& y) {
  const unsigned tile = blockIdx.x - (unsigned)pass.first_tile;
  const unsigned across = ((unsigned)pass.target_w + TILE_W - 1) / TILE_W;
  const unsigned row = tile / across;
  x = (int)((tile - row * across) * TILE_W + threadIdx.x);
  y = (int)(row * TILE_H + threadIdx.y);
  return x < pass.target_w && y < pass.target_h;
}

static __device__ __forceinline__ int clipped(int level) { return min(max(level, 0), 255); }

// Pixels of a thread that lie beside the picture are computed like the others, and left out here.
template <int C>
static __device__ __forceinline__ void store(const Pass& pass, int x, int y, const int (&levels)[4 * C]) {
  uint8_t* out = (uint8_t*)pass.target + ((int64_t)y * pass.target_w + x) * C;
#pragma unroll
  for (int pixel = 0; pixel < 4; ++pixel)
    if (x + pixel * APART < pass.target_w)
#pragma unroll
      for (int c = 0; c < C; ++c) out[pixel * APART * C + c] = (uint8_t)levels[pixel * C + c];
}

static __device__ __forceinline__ int fill_of(const Pass& pass, int c) { return (int)(pass.fill >> (8 * c)) & 255; }

// The pixel of a row of n that stands in for index p; −1 where the fill does. MIRROR repeats no edge pixel, REFLECT does.
static __device__ __forceinline__ int at_border(int p, int n, int border) {
  if ((unsigned)p < (unsigned)n) return p;
  if (border == CONSTANT) return -1;
  if (border == REPLICATE) return p < 0 ? 0 : n - 1;
  if (border == WRAP) { p %= n; return p < 0 ? p + n : p; }
  const int twice = border == MIRROR ? 2 * n - 2 : 2 * n;
  if (twice == 0) return 0;
  p %= twice;
  if (p < 0) p += twice;
  return p < n ? p : (border == MIRROR ? twice - p : twice - 1 - p);
}
