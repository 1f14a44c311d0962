// Reads and writes rows of WIDTH numbers of 16 bits, eight at a time: fp16 where FP16 is defined,
// else bf16. Put before every kernel by gpu_kernels.py; needs no header.

#define VECTORS (WIDTH / 8)

__device__ __forceinline__ float from_half(unsigned int bits) {
#ifdef FP16
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"((unsigned short)bits));
  return value;
#else
  return __uint_as_float(bits << 16);
#endif
}

__device__ __forceinline__ unsigned int to_half(float value) {
#ifdef FP16
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
#else
  const unsigned int bits = __float_as_uint(value);
  if (value != value) return 0x7fc0u;
  return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
#endif
}

__device__ __forceinline__ void read(const uint4* row, int place, float* values) {
  const uint4 packed = row[place];
  const unsigned int words[4] = {packed.x, packed.y, packed.z, packed.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    values[2 * i] = from_half(words[i] & 0xffffu);
    values[2 * i + 1] = from_half(words[i] >> 16);
  }
}

// Writes the values, and leaves in their place what was written, rounded.
__device__ __forceinline__ void write(uint4* row, int place, float* values) {
  unsigned int words[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const unsigned int low = to_half(values[2 * i]), high = to_half(values[2 * i + 1]);
    values[2 * i] = from_half(low);
    values[2 * i + 1] = from_half(high);
    words[i] = low | high << 16;
  }
  row[place] = make_uint4(words[0], words[1], words[2], words[3]);
}

__device__ __forceinline__ void read_floats(const float* row, int place, float* values) {
  const float4* pair = reinterpret_cast<const float4*>(row) + 2 * place;
  const float4 low = pair[0], high = pair[1];
  values[0] = low.x, values[1] = low.y, values[2] = low.z, values[3] = low.w;
  values[4] = high.x, values[5] = high.y, values[6] = high.z, values[7] = high.w;
}
