// Decode attention, bf16, head size 128: every sequence's query heads over its own KV cache. The
// cache is cut into spans so that few sequences still fill the GPU; a second kernel joins the spans
// (flash decoding). Plain code: bound by memory where batches are large, slower than a library's
// for short contexts, and named so.
#include <cuda_bf16.h>

#include "benchmarks.cuh"

namespace collect {
namespace {

constexpr int kHead = 128;
constexpr int kThreads = 128;
constexpr int kGroupMost = 16;  // query heads that share a KV head

// One block: one sequence, one KV head, one span of keys; a warp takes every fourth key, a lane
// four elements of the head. Partial results: maximum, sum of weights, weighted values.
__global__ void spans(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      float* partial, int kv_heads, int group, int context, int span) {
  const int part = blockIdx.x, kv_head = blockIdx.y, sequence = blockIdx.z;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = kThreads / 32;
  const int first = part * span, last = min(context, first + span);
  const std::size_t cache =
      (static_cast<std::size_t>(sequence) * kv_heads + kv_head) * context * kHead;
  __shared__ float shared[kThreads / 32][kHead + 2];
  for (int h = 0; h < group; ++h) {
    const std::size_t head = (static_cast<std::size_t>(sequence) * kv_heads + kv_head) * group + h;
    float query[4];
    for (int i = 0; i < 4; ++i) query[i] = __bfloat162float(q[head * kHead + lane * 4 + i]);
    float most = -1e30F, sum = 0, out[4] = {0, 0, 0, 0};
    for (int t = first + warp; t < last; t += warps) {
      const uint2 key = *reinterpret_cast<const uint2*>(
          k + cache + static_cast<std::size_t>(t) * kHead + lane * 4);
      const uint2 value = *reinterpret_cast<const uint2*>(
          v + cache + static_cast<std::size_t>(t) * kHead + lane * 4);
      const auto* keys = reinterpret_cast<const __nv_bfloat16*>(&key);
      const auto* values = reinterpret_cast<const __nv_bfloat16*>(&value);
      float score = 0;
      for (int i = 0; i < 4; ++i) score += query[i] * __bfloat162float(keys[i]);
      for (int step = 16; step > 0; step /= 2) score += __shfl_xor_sync(~0U, score, step);
      score *= 0.08838834764F;  // 1 / sqrt(128)
      const float larger = fmaxf(most, score), keep = __expf(most - larger),
                  weight = __expf(score - larger);
      sum = sum * keep + weight;
      for (int i = 0; i < 4; ++i) out[i] = out[i] * keep + weight * __bfloat162float(values[i]);
      most = larger;
    }
    for (int i = 0; i < 4; ++i) shared[warp][lane * 4 + i] = out[i];
    if (lane == 0) {
      shared[warp][kHead] = most;
      shared[warp][kHead + 1] = sum;
    }
    __syncthreads();
    float top = -1e30F, all = 0, mine = 0;
    for (int w = 0; w < warps; ++w) top = fmaxf(top, shared[w][kHead]);
    for (int w = 0; w < warps; ++w) {
      const float scale = __expf(shared[w][kHead] - top);
      all += scale * shared[w][kHead + 1];
      mine += scale * shared[w][threadIdx.x];
    }
    float* to = partial + (head * gridDim.x + part) * (kHead + 2);
    to[threadIdx.x] = mine;
    if (threadIdx.x == 0) {
      to[kHead] = top;
      to[kHead + 1] = all;
    }
    __syncthreads();
  }
}

__global__ void join(const float* partial, __nv_bfloat16* out, int parts) {
  const std::size_t head = blockIdx.x;
  const float* from = partial + head * parts * (kHead + 2);
  float top = -1e30F, all = 0, mine = 0;
  for (int p = 0; p < parts; ++p) top = fmaxf(top, from[p * (kHead + 2) + kHead]);
  for (int p = 0; p < parts; ++p) {
    const float scale = __expf(from[p * (kHead + 2) + kHead] - top);
    all += scale * from[p * (kHead + 2) + kHead + 1];
    mine += scale * from[p * (kHead + 2) + threadIdx.x];
  }
  out[head * kHead + threadIdx.x] = __float2bfloat16(mine / all);
}

}  // namespace

void attention(const Options& options) {
  cudaDeviceProp device;
  COLLECT_CUDA(cudaGetDeviceProperties(&device, 0));
  std::size_t available = 0, total = 0;
  COLLECT_CUDA(cudaMemGetInfo(&available, &total));
  const std::size_t most = std::min<std::size_t>(available / 3, std::size_t{8} << 30);
  const Memory keys(most), values(most), queries(std::size_t{64} << 20),
      result(std::size_t{64} << 20);
  randomise(keys, CUDA_R_16BF, most / 2);
  randomise(values, CUDA_R_16BF, most / 2);
  randomise(queries, CUDA_R_16BF, std::size_t{32} << 20);
  const Memory partial(std::size_t{1} << 30);
  Csv csv(options, "generation_attention", "collect-1",
          "op_name,kernel_source,batch_size,isl,num_heads,num_key_value_heads,head_dim,beam_width,"
          "attn_dtype,kv_cache_dtype,step,window_size,latency");
  for (const int kv_heads : {1, 2, 4, 8})
    for (const int group : {1, 4, 8, kGroupMost})
      for (int batch = 1; batch <= 256; batch *= options.quick ? 16 : 4)
        for (int context = 128; context <= 131072; context *= options.quick ? 16 : 4) {
          const std::size_t cache =
              static_cast<std::size_t>(batch) * kv_heads * context * kHead * sizeof(__nv_bfloat16);
          if (cache > most) continue;
          // About four blocks an SM, no span below 64 keys.
          const int wanted = std::max(1, 4 * device.multiProcessorCount / (batch * kv_heads));
          const int parts = std::clamp(std::min(wanted, context / 64), 1, 256);
          const int span = (context + parts - 1) / parts;
          const int heads = kv_heads * group;
          const std::size_t scratch =
              static_cast<std::size_t>(batch) * heads * parts * (kHead + 2) * sizeof(float);
          if (scratch > (std::size_t{1} << 30)) continue;
          const dim3 grid(static_cast<unsigned>(parts), static_cast<unsigned>(kv_heads),
                          static_cast<unsigned>(batch));
          const double ms = milliseconds([&](cudaStream_t stream) {
            spans<<<grid, kThreads, 0, stream>>>(static_cast<const __nv_bfloat16*>(queries.data),
                                                 static_cast<const __nv_bfloat16*>(keys.data),
                                                 static_cast<const __nv_bfloat16*>(values.data),
                                                 static_cast<float*>(partial.data), kv_heads, group,
                                                 context, span);
            join<<<static_cast<unsigned>(batch * heads), kHead, 0, stream>>>(
                static_cast<const float*>(partial.data), static_cast<__nv_bfloat16*>(result.data),
                parts);
          });
          COLLECT_CUDA(cudaGetLastError());
          std::fprintf(csv.file(),
                       "generation_attention,own,%d,1,%d,%d,%d,1,bfloat16,bfloat16,%d,0,%.6g\n",
                       batch, heads, kv_heads, kHead, context - 1, ms);
          csv.row_written();
        }
}

}  // namespace collect
