// Enough of CUDA to run a kernel on a CPU: every thread of a block is one of the CPU, blocks follow
// one another, and what a warp or a block waits for is a barrier.

#include <barrier>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

struct uint4 { unsigned int x, y, z, w; };
struct float2 { float x, y; };
struct float4 { float x, y, z, w; };
struct Index { int x, y, z; };

inline uint4 make_uint4(unsigned int x, unsigned int y, unsigned int z, unsigned int w) {
  return {x, y, z, w};
}
inline float2 make_float2(float x, float y) { return {x, y}; }

#define __device__ static
#define __forceinline__ inline
#define __global__
#define __launch_bounds__(threads)
#define __shared__ static
#define __expf expf
#define asm(...) static_assert(true, "")

thread_local Index threadIdx, blockIdx;
thread_local int thread_number;
Index gridDim;
float lanes[32][32];
std::unique_ptr<std::barrier<>> block_barrier;
std::vector<std::unique_ptr<std::barrier<>>> warp_barriers;

inline void __syncthreads() { block_barrier->arrive_and_wait(); }

inline float __shfl_xor_sync(unsigned int, float value, int step) {
  const int warp = thread_number / 32, lane = thread_number % 32;
  lanes[warp][lane] = value;
  warp_barriers[warp]->arrive_and_wait();
  const float found = lanes[warp][lane ^ step];
  warp_barriers[warp]->arrive_and_wait();
  return found;
}

inline float __uint_as_float(unsigned int bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline unsigned int __float_as_uint(float value) {
  unsigned int bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float rsqrtf(float value) { return 1.0f / std::sqrt(value); }

template <class Kernel>
void launch(Index grid, Index block, Kernel kernel) {
  const int threads = block.x * block.y;
  gridDim = grid;
  for (int y = 0; y < grid.y; ++y)
    for (int x = 0; x < grid.x; ++x) {
      block_barrier = std::make_unique<std::barrier<>>(threads);
      warp_barriers.clear();
      for (int warp = 0; warp < threads / 32; ++warp)
        warp_barriers.push_back(std::make_unique<std::barrier<>>(32));
      std::vector<std::thread> running;
      for (int number = 0; number < threads; ++number)
        running.emplace_back([=] {
          threadIdx = {number % block.x, number / block.x, 0};
          blockIdx = {x, y, 0};
          thread_number = number;
          kernel();
        });
      for (auto& thread : running) thread.join();
    }
}

template <class... Arguments, std::size_t... places>
void call(void (*kernel)(Arguments...), Index grid, Index block, void** given,
          std::index_sequence<places...>) {
  launch(grid, block, [=] { kernel(*static_cast<Arguments*>(given[places])...); });
}

// Runs a kernel with pointers to its arguments, as CUDA's driver does.
template <class... Arguments>
void call(void (*kernel)(Arguments...), Index grid, Index block, void** given) {
  call(kernel, grid, block, given, std::index_sequence_for<Arguments...>());
}
