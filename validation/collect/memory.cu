// Copies and an element-wise kernel over a range of sizes: what the memory and the PCIe slot give.
#include "benchmarks.cuh"

namespace collect {
namespace {

__global__ void add(const uint4* a, const uint4* b, uint4* c, std::size_t n) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n;
       i += stride) {
    const uint4 x = a[i], y = b[i];
    c[i] = make_uint4(x.x + y.x, x.y + y.y, x.z + y.z, x.w + y.w);
  }
}

constexpr std::size_t kLargest = std::size_t{1} << 28;

}  // namespace

void copies(const Options& options) {
  const Memory from(kLargest), to(kLargest);
  void* host = nullptr;
  COLLECT_CUDA(cudaMallocHost(&host, kLargest));
  Csv csv(options, "copy", "cuda-" + std::to_string(CUDART_VERSION / 1000),
          "op_name,kernel_source,bytes,latency");
  const struct {
    const char* name;
    void *to, *from;
    cudaMemcpyKind kind;
  } kinds[] = {{"device_to_device", to.data, from.data, cudaMemcpyDeviceToDevice},
               {"host_to_device", to.data, host, cudaMemcpyHostToDevice},
               {"device_to_host", host, from.data, cudaMemcpyDeviceToHost}};
  for (const auto& kind : kinds)
    for (std::size_t bytes = 4096; bytes <= kLargest; bytes *= options.quick ? 16 : 2) {
      const double ms = milliseconds([&](cudaStream_t stream) {
        COLLECT_CUDA(cudaMemcpyAsync(kind.to, kind.from, bytes, kind.kind, stream));
      });
      std::fprintf(csv.file(), "%s,cudaMemcpyAsync,%zu,%.6g\n", kind.name, bytes, ms);
      csv.row_written();
    }
  COLLECT_CUDA(cudaFreeHost(host));
}

void elementwise(const Options& options) {
  const Memory a(kLargest), b(kLargest), c(kLargest);
  cudaDeviceProp device;
  COLLECT_CUDA(cudaGetDeviceProperties(&device, 0));
  Csv csv(options, "elementwise", "cuda-" + std::to_string(CUDART_VERSION / 1000),
          "op_name,kernel_source,bytes,latency");
  for (std::size_t bytes = 4096; bytes <= kLargest; bytes *= options.quick ? 16 : 2) {
    const std::size_t n = bytes / sizeof(uint4);
    const auto blocks = static_cast<unsigned>(std::min<std::size_t>(
        (n + 255) / 256, static_cast<std::size_t>(device.multiProcessorCount) * 8));
    const double ms = milliseconds([&](cudaStream_t stream) {
      add<<<blocks, 256, 0, stream>>>(static_cast<const uint4*>(a.data),
                                      static_cast<const uint4*>(b.data),
                                      static_cast<uint4*>(c.data), n);
    });
    COLLECT_CUDA(cudaGetLastError());
    std::fprintf(csv.file(), "add,own,%zu,%.6g\n", 3 * bytes, ms);
    csv.row_written();
  }
}

}  // namespace collect
