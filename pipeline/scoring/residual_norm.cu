// A residual sum and its layer norm in one pass over memory, and their gradients in another.
//
// EPSILON is the norm's; where BIASED is defined, a dense layer's bias is added as well; where KEPT
// is, what the backward pass needs is written. Sums are taken in fp32. A warp takes a row, which
// stays in its registers: too wide ones do not fit them.

#define PER_LANE ((VECTORS + 31) / 32)
#define WARPS 4
#define EVERY_LANE 0xffffffffu

__device__ __forceinline__ float over_warp(float value) {
#pragma unroll
  for (int step = 16; step; step >>= 1) value += __shfl_xor_sync(EVERY_LANE, value, step);
  return value;
}

// normed = norm(states [+ dense_bias] + residual) * gain + bias; a warp takes a row.
extern "C" __global__ void __launch_bounds__(32 * WARPS)
    sum_and_norm(const uint4* states, const uint4* residual, const float* dense_bias,
                 const float* gain, const float* bias, uint4* sums, float2* moments,
                 uint4* normed, int rows) {
  const int lane = threadIdx.x & 31;
  const int row = blockIdx.x * WARPS + (threadIdx.x >> 5);
  if (row >= rows) return;
  const size_t start = (size_t)row * VECTORS;
  float sum[PER_LANE][8];
  float total = 0.0f;
#pragma unroll
  for (int i = 0; i < PER_LANE; ++i) {
    const int place = lane + 32 * i;
    if (place < VECTORS) {
      float other[8];
      read(states + start, place, sum[i]);
      read(residual + start, place, other);
#pragma unroll
      for (int k = 0; k < 8; ++k) sum[i][k] += other[k];
#ifdef BIASED
      read_floats(dense_bias, place, other);
#pragma unroll
      for (int k = 0; k < 8; ++k) sum[i][k] += other[k];
#endif
#ifdef KEPT
      write(sums + start, place, sum[i]);
#endif
#pragma unroll
      for (int k = 0; k < 8; ++k) total += sum[i][k];
    }
  }
  const float mean = over_warp(total) / WIDTH;
  float squares = 0.0f;
#pragma unroll
  for (int i = 0; i < PER_LANE; ++i)
    if (lane + 32 * i < VECTORS)
#pragma unroll
      for (int k = 0; k < 8; ++k) squares += (sum[i][k] - mean) * (sum[i][k] - mean);
  const float scale = rsqrtf(over_warp(squares) / WIDTH + EPSILON);
#ifdef KEPT
  if (!lane) moments[row] = make_float2(mean, scale);
#endif
#pragma unroll
  for (int i = 0; i < PER_LANE; ++i) {
    const int place = lane + 32 * i;
    if (place < VECTORS) {
      float gains[8], biases[8];
      read_floats(gain, place, gains);
      read_floats(bias, place, biases);
#pragma unroll
      for (int k = 0; k < 8; ++k) sum[i][k] = (sum[i][k] - mean) * scale * gains[k] + biases[k];
      write(normed + start, place, sum[i]);
    }
  }
}

// Adds up a column's values of all warps of a block, and writes them for the block.
__device__ __forceinline__ void write_columns(float (*values)[8], float* joined, float* target) {
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  for (int turn = 0; turn < WARPS; ++turn) {
    if (warp == turn) {
#pragma unroll
      for (int i = 0; i < PER_LANE; ++i) {
        const int place = lane + 32 * i;
        if (place < VECTORS)
#pragma unroll
          for (int k = 0; k < 8; ++k)
            joined[8 * place + k] = (turn ? joined[8 * place + k] : 0.0f) + values[i][k];
      }
    }
    __syncthreads();
  }
  for (int column = threadIdx.x; column < WIDTH; column += 32 * WARPS)
    target[column] = joined[column];
  __syncthreads();
}

// The gradient of the sum, and by block those of gain, bias and the dense layer's bias.
extern "C" __global__ void __launch_bounds__(32 * WARPS)
    norm_gradients(const uint4* outer, const uint4* sums, const float2* moments,
                   const float* gain, uint4* inner, float* partials, int rows) {
  __shared__ float joined[WIDTH];
  const int lane = threadIdx.x & 31;
  float of_gain[PER_LANE][8] = {}, of_bias[PER_LANE][8] = {}, of_sum[PER_LANE][8] = {};
  const int first_row = blockIdx.x * WARPS + (threadIdx.x >> 5);
  for (int row = first_row; row < rows; row += gridDim.x * WARPS) {
    const size_t start = (size_t)row * VECTORS;
    const float2 moment = moments[row];
    float unit[PER_LANE][8], scaled[PER_LANE][8];
    float plain = 0.0f, along = 0.0f;
#pragma unroll
    for (int i = 0; i < PER_LANE; ++i) {
      const int place = lane + 32 * i;
      if (place < VECTORS) {
        float gradient[8], gains[8];
        read(outer + start, place, gradient);
        read(sums + start, place, unit[i]);
        read_floats(gain, place, gains);
#pragma unroll
        for (int k = 0; k < 8; ++k) {
          unit[i][k] = (unit[i][k] - moment.x) * moment.y;
          of_bias[i][k] += gradient[k];
          of_gain[i][k] += gradient[k] * unit[i][k];
          scaled[i][k] = gradient[k] * gains[k];
          plain += scaled[i][k];
          along += scaled[i][k] * unit[i][k];
        }
      }
    }
    plain = over_warp(plain) / WIDTH;
    along = over_warp(along) / WIDTH;
#pragma unroll
    for (int i = 0; i < PER_LANE; ++i) {
      const int place = lane + 32 * i;
      if (place < VECTORS) {
#pragma unroll
        for (int k = 0; k < 8; ++k)
          scaled[i][k] = (scaled[i][k] - plain - unit[i][k] * along) * moment.y;
        write(inner + start, place, scaled[i]);
#pragma unroll
        for (int k = 0; k < 8; ++k) of_sum[i][k] += scaled[i][k];
      }
    }
  }
  float* target = partials + (size_t)blockIdx.x * 3 * WIDTH;
  write_columns(of_gain, joined, target);
  write_columns(of_bias, joined, target + WIDTH);
  write_columns(of_sum, joined, target + 2 * WIDTH);
}
