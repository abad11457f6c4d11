#include <cuda_bf16.h>
#include <cuda_fp8.h>
#include <sys/stat.h>

#include "common.cuh"

namespace collect {
namespace {

constexpr int kBatches = 9;
constexpr double kBatchMs = 3.0;  // long enough for the events' half microsecond not to matter

double timed(cudaStream_t stream, const std::function<void()>& batch) {
  cudaEvent_t begin, end;
  COLLECT_CUDA(cudaEventCreate(&begin));
  COLLECT_CUDA(cudaEventCreate(&end));
  COLLECT_CUDA(cudaEventRecord(begin, stream));
  batch();
  COLLECT_CUDA(cudaEventRecord(end, stream));
  COLLECT_CUDA(cudaEventSynchronize(end));
  float ms = 0;
  COLLECT_CUDA(cudaEventElapsedTime(&ms, begin, end));
  COLLECT_CUDA(cudaEventDestroy(begin));
  COLLECT_CUDA(cudaEventDestroy(end));
  return ms;
}

template <class T>
__device__ T number(float value) {
  return T(value);
}
template <>
__device__ std::int8_t number<std::int8_t>(float value) {
  return static_cast<std::int8_t>(value * 127);
}

template <class T>
__global__ void random_numbers(T* out, std::size_t n) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n;
       i += stride) {
    std::uint64_t x = (i + 1) * 0x9E3779B97F4A7C15ULL;  // splitmix64
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    out[i] = number<T>(static_cast<float>((x ^ (x >> 31)) >> 40) * 0x1p-23F - 1.0F);
  }
}

}  // namespace

void randomise(const Memory& memory, cudaDataType_t format, std::size_t elements) {
  constexpr unsigned kBlocks = 1024, kThreads = 256;
  if (format == CUDA_R_16BF) {
    random_numbers<<<kBlocks, kThreads>>>(static_cast<__nv_bfloat16*>(memory.data), elements);
  } else if (format == CUDA_R_8F_E4M3) {
    random_numbers<<<kBlocks, kThreads>>>(static_cast<__nv_fp8_e4m3*>(memory.data), elements);
  } else {
    random_numbers<<<kBlocks, kThreads>>>(static_cast<std::int8_t*>(memory.data), elements);
  }
  COLLECT_CUDA(cudaGetLastError());
  COLLECT_CUDA(cudaDeviceSynchronize());
}

Csv::Csv(const Options& options, const std::string& op, const std::string& engine,
         const std::string& header) {
  mkdir(options.folder.c_str(), 0777);
  const std::string folder = options.folder + "/" + options.gpu;
  mkdir(folder.c_str(), 0777);
  path_ = folder + "/" + op + "." + engine + ".csv";
  file_ = std::fopen(path_.c_str(), "w");
  if (file_ == nullptr) {
    std::fprintf(stderr, "collect: cannot write %s\n", path_.c_str());
    std::exit(1);
  }
  std::fprintf(file_, "%s\n", header.c_str());
}

Csv::~Csv() {
  std::fclose(file_);
  std::printf("%s: %zu rows\n", path_.c_str(), rows_);
}

double milliseconds(const std::function<void(cudaStream_t)>& call, bool capture) {
  cudaStream_t stream;
  COLLECT_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  for (int i = 0; i < 3; ++i) call(stream);
  COLLECT_CUDA(cudaStreamSynchronize(stream));
  const double once = std::max(1e-3, timed(stream, [&] { call(stream); }));
  const int calls = std::clamp(static_cast<int>(kBatchMs / once), 1, 200);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t replay = nullptr;
  if (capture) {
    COLLECT_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    for (int i = 0; i < calls; ++i) call(stream);
    COLLECT_CUDA(cudaStreamEndCapture(stream, &graph));
    COLLECT_CUDA(cudaGraphInstantiate(&replay, graph, 0));
  }
  const auto batch = [&] {
    if (capture) {
      COLLECT_CUDA(cudaGraphLaunch(replay, stream));
    } else {
      for (int i = 0; i < calls; ++i) call(stream);
    }
  };
  batch();
  COLLECT_CUDA(cudaStreamSynchronize(stream));
  std::vector<double> times;
  for (int i = 0; i < kBatches; ++i) times.push_back(timed(stream, batch) / calls);
  std::sort(times.begin(), times.end());
  if (capture) {
    COLLECT_CUDA(cudaGraphExecDestroy(replay));
    COLLECT_CUDA(cudaGraphDestroy(graph));
  }
  COLLECT_CUDA(cudaStreamDestroy(stream));
  return times[kBatches / 2];
}

}  // namespace collect
