// NCCL among all GPUs of this machine, one process. Left out where nccl.h is not found.
#include "benchmarks.cuh"

#if __has_include(<nccl.h>) && !defined(COLLECT_NO_NCCL)
#include <nccl.h>

#include <chrono>

namespace collect {
namespace {

#define COLLECT_NCCL(call)                                                                        \
  do {                                                                                            \
    const ncclResult_t status_ = (call);                                                          \
    if (status_ != ncclSuccess) {                                                                 \
      std::fprintf(stderr, "collect: NCCL: %s at %s:%d\n", ncclGetErrorString(status_), __FILE__, \
                   __LINE__);                                                                     \
      std::exit(1);                                                                               \
    }                                                                                             \
  } while (0)

class Group {
 public:
  explicit Group(int gpus) : gpus_(gpus), comms_(gpus), streams_(gpus), in_(gpus), out_(gpus) {
    std::vector<int> devices(static_cast<std::size_t>(gpus));
    for (int i = 0; i < gpus; ++i) devices[static_cast<std::size_t>(i)] = i;
    COLLECT_NCCL(ncclCommInitAll(comms_.data(), gpus, devices.data()));
    each([&](std::size_t i) {
      COLLECT_CUDA(cudaStreamCreate(&streams_[i]));
      COLLECT_CUDA(cudaMalloc(&in_[i], kLargest));
      COLLECT_CUDA(cudaMalloc(&out_[i], kLargest));
    });
  }
  ~Group() {
    each([&](std::size_t i) {
      cudaFree(in_[i]);
      cudaFree(out_[i]);
      cudaStreamDestroy(streams_[i]);
      ncclCommDestroy(comms_[i]);
    });
  }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  static constexpr std::size_t kLargest = std::size_t{1} << 29;

  // `elements` of the whole buffer on one GPU (all-gather: the gathered total).
  void call(const std::string& op, ncclDataType_t type, std::size_t elements) {
    const std::size_t share = elements / static_cast<std::size_t>(gpus_);
    const std::size_t size = type == ncclInt8 ? 1 : 2;
    COLLECT_NCCL(ncclGroupStart());
    each([&](std::size_t i) {
      if (op == "all_reduce") {
        COLLECT_NCCL(
            ncclAllReduce(in_[i], out_[i], elements, type, ncclSum, comms_[i], streams_[i]));
      } else if (op == "all_gather") {
        COLLECT_NCCL(ncclAllGather(in_[i], out_[i], share, type, comms_[i], streams_[i]));
      } else if (op == "reduce_scatter") {
        COLLECT_NCCL(
            ncclReduceScatter(in_[i], out_[i], share, type, ncclSum, comms_[i], streams_[i]));
      } else {
        for (int peer = 0; peer < gpus_; ++peer) {
          const std::size_t at = static_cast<std::size_t>(peer) * share * size;
          COLLECT_NCCL(
              ncclSend(static_cast<char*>(in_[i]) + at, share, type, peer, comms_[i], streams_[i]));
          COLLECT_NCCL(ncclRecv(static_cast<char*>(out_[i]) + at, share, type, peer, comms_[i],
                                streams_[i]));
        }
      }
    });
    COLLECT_NCCL(ncclGroupEnd());
  }
  void wait() {
    each([&](std::size_t i) { COLLECT_CUDA(cudaStreamSynchronize(streams_[i])); });
  }

 private:
  template <class F>
  void each(F&& f) {
    for (int i = 0; i < gpus_; ++i) {
      COLLECT_CUDA(cudaSetDevice(i));
      f(static_cast<std::size_t>(i));
    }
    COLLECT_CUDA(cudaSetDevice(0));
  }
  int gpus_;
  std::vector<ncclComm_t> comms_;
  std::vector<cudaStream_t> streams_;
  std::vector<void*> in_, out_;
};

// Mean of calls in a row by the host's clock, as nccl-tests takes it; median of batches.
double call_ms(Group& group, const std::string& op, ncclDataType_t type, std::size_t elements) {
  constexpr int kCalls = 20, kRepeats = 5;
  for (int i = 0; i < 5; ++i) group.call(op, type, elements);
  group.wait();
  std::vector<double> times;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kCalls; ++i) group.call(op, type, elements);
    group.wait();
    const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - begin;
    times.push_back(ms.count() / kCalls);
  }
  std::sort(times.begin(), times.end());
  return times[kRepeats / 2];
}

}  // namespace

void collectives(const Options& options) {
  int devices = 0, version = 0;
  COLLECT_CUDA(cudaGetDeviceCount(&devices));
  if (devices < 2) {
    std::printf("nccl: one GPU only, nothing to measure\n");
    return;
  }
  COLLECT_NCCL(ncclGetVersion(&version));
  const std::string name = "nccl-" + std::to_string(version / 10000) + "." +
                           std::to_string(version / 100 % 100) + "." +
                           std::to_string(version % 100);
  Csv csv(options, "nccl", name, "op_name,kernel_source,nccl_dtype,num_gpus,message_size,latency");
  for (int gpus = 2; gpus <= devices; gpus *= 2) {
    Group group(gpus);
    for (const auto& [type, label, size] : {std::make_tuple(ncclHalf, "half", std::size_t{2}),
                                            std::make_tuple(ncclInt8, "int8", std::size_t{1})})
      for (const char* op : {"all_reduce", "all_gather", "reduce_scatter", "alltoall"})
        for (std::size_t n = 1024; n * size <= Group::kLargest; n *= options.quick ? 16 : 2) {
          std::fprintf(csv.file(), "%s,NCCL,%s,%d,%zu,%.6g\n", op, label, gpus, n,
                       call_ms(group, op, type, n));
          csv.row_written();
        }
  }
}

}  // namespace collect

#else

namespace collect {
void collectives(const Options&) { std::printf("nccl: built without NCCL\n"); }
}  // namespace collect

#endif
