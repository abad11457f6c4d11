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

}  // namespace

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
