// The gradient of GELU's input, and by block that of the bias before it. A block of 32 by 8
// threads takes 256 columns.
extern "C" __global__ void __launch_bounds__(256)
    gelu_gradients(const uint4* outer, const uint4* before, uint4* inner, float* partials,
                   int rows) {
  __shared__ float joined[8][256];
  const int place = blockIdx.x * 32 + threadIdx.x;
  float of_bias[8] = {};
  if (place < VECTORS) {
    for (int row = blockIdx.y * 8 + threadIdx.y; row < rows; row += gridDim.y * 8) {
      const size_t start = (size_t)row * VECTORS;
      float value[8], gradient[8];
      read(before + start, place, value);
      read(outer + start, place, gradient);
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        const float share = 0.5f * (1.0f + erff(value[k] * 0.70710678f));
        const float density = 0.39894228f * __expf(-0.5f * value[k] * value[k]);
        gradient[k] *= share + value[k] * density;
      }
      write(inner + start, place, gradient);
#pragma unroll
      for (int k = 0; k < 8; ++k) of_bias[k] += gradient[k];
    }
  }
#pragma unroll
  for (int k = 0; k < 8; ++k) joined[threadIdx.y][8 * threadIdx.x + k] = of_bias[k];
  __syncthreads();
  const int column = 32 * threadIdx.y + threadIdx.x;
  float total = 0.0f;
  for (int turn = 0; turn < 8; ++turn) total += joined[turn][column];
  if (blockIdx.x * 256 + column < WIDTH)
    partials[(size_t)blockIdx.y * WIDTH + blockIdx.x * 256 + column] = total;
}
