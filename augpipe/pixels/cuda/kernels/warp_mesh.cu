// Warps through a mesh: whole numbers from output pixels to 1/32 pixel of the source, as augpipe/pixels/bend.py has them.

struct Bend { int32_t place, spacing, across, down, mesh_w, mesh_h, shift_x, shift_y; };  // reduced by 2 to the shifts

// q + d(q) of one axis, in 1/1024 pixel.
static __device__ __forceinline__ int64_t displaced(
    const int32_t* node, int across, int bits, int64_t u, int64_t v, int64_t q) {
  const int64_t a = __ldg(node), b = __ldg(node + 2), c = __ldg(node + 2 * across), d = __ldg(node + 2 * across + 2);
  const int64_t upper = (a << bits) + (b - a) * u, lower = (c << bits) + (d - c) * u;
  return q + (((upper << bits) + (lower - upper) * v + ((int64_t)1 << (2 * bits - 1))) >> (2 * bits));
}

static __device__ __forceinline__ int thirty_seconds(int64_t place, int shift) {
  return (int)((place - ((int64_t)1 << (29 + shift)) + ((int64_t)1 << (24 + shift))) >> (25 + shift));
}

static __device__ __forceinline__ int64_t between(int64_t v, int64_t most) { return v < 0 ? 0 : v > most ? most : v; }

template <int C>
static __device__ __forceinline__ void bent(
    const Pass& pass, const char* parameters, int x, int y, int (&levels)[4 * C]) {
  const Bend& bend = head_of<Bend>(pass);
  const int64_t* after = (const int64_t*)(parameters + bend.place);
  const int64_t* before = after + 6;
  const int32_t* nodes = (const int32_t*)(after + 12);
  const int bits = bend.spacing + 10;
#pragma unroll
  for (int pixel = 0; pixel < 4; ++pixel) {
    const int64_t px = 2 * (x + pixel * APART) + 1, py = 2 * y + 1;
    const int64_t qx = (after[0] * px + after[1] * py + 2 * after[2] + 1024) >> 11;
    const int64_t qy = (after[3] * px + after[4] * py + 2 * after[5] + 1024) >> 11;
    const int64_t inside_x = between(qx, (int64_t)bend.mesh_w << 10), inside_y = between(qy, (int64_t)bend.mesh_h << 10);
    const int column = min((int)(inside_x >> bits), bend.across - 2), row = min((int)(inside_y >> bits), bend.down - 2);
    const int64_t u = inside_x - ((int64_t)column << bits), v = inside_y - ((int64_t)row << bits);
    const int32_t* node = nodes + 2 * (row * bend.across + column);
    const int64_t sx = displaced(node, bend.across, bits, u, v, qx);
    const int64_t sy = displaced(node + 1, bend.across, bits, u, v, qy);
    const int fine_x = thirty_seconds(before[0] * sx + before[1] * sy + (before[2] << 10), bend.shift_x);
    const int fine_y = thirty_seconds(before[3] * sx + before[4] * sy + (before[5] << 10), bend.shift_y);
    if (is_inside(pass, fine_x, fine_y)) interpolate_inside<C>(pass, fine_x, fine_y, levels + pixel * C);
    else interpolate_anywhere<C>(pass, fine_x, fine_y, levels + pixel * C);
  }
}

PICTURE_KERNEL(warp_mesh, bent)
