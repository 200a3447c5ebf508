// A layer of one color by the alpha of each pixel, in 1/1024: pixels/steps/overlay.py.

enum Mixing { MIX = 0, SCREEN = 1, GAIN = 2 };

struct Layer { int32_t place, mode; };                      // place of an int16 a pixel among the parameters

template <int C>
static __device__ __forceinline__ void with_layer(
    const Pass& pass, const char* parameters, int x, int y, int (&levels)[4 * C]) {
  const Layer& own = head_of<Layer>(pass);
  const int16_t* alpha = (const int16_t*)(parameters + own.place) + (int64_t)y * pass.source_w;
  levels_of<C>(pass, x, y, levels);
#pragma unroll
  for (int i = 0; i < 4 * C; ++i) {
    const int a = __ldg(alpha + min(x + i / C * APART, pass.source_w - 1)), v = levels[i], color = fill_of(pass, i % C);
    levels[i] = own.mode == SCREEN ? v + ((255 - v) * (color * a) + 130560) / 261120
                : own.mode == GAIN ? clipped((v * (1024 + a) + 512) >> 10)
                                   : (v * (1024 - a) + color * a + 512) >> 10;
  }
}

PICTURE_KERNEL(overlay, with_layer)
