#pragma once
// Timing and output that every benchmark shares.
#include <cuda_runtime.h>
#include <library_types.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace collect {

#define COLLECT_CUDA(call)                                                                  \
  do {                                                                                      \
    const cudaError_t status_ = (call);                                                     \
    if (status_ != cudaSuccess) {                                                           \
      std::fprintf(stderr, "collect: %s at %s:%d\n", cudaGetErrorString(status_), __FILE__, \
                   __LINE__);                                                               \
      std::exit(1);                                                                         \
    }                                                                                       \
  } while (0)

struct Options {
  std::string folder = "measurements";
  std::string gpu;  // folder of the GPU: that of the card's `tables`, or its name
  std::string engine = "vllm-0.19.0";  // whose matrix products cuBLASLt's stand for
  bool quick = false;
  double minutes = 0;  // for the matrix products; 0 = until the grid is done
};

// DIR/GPU/OPERATOR.ENGINE-VERSION.csv
class Csv {
 public:
  Csv(const Options& options, const std::string& op, const std::string& engine,
      const std::string& header);
  ~Csv();
  Csv(const Csv&) = delete;
  Csv& operator=(const Csv&) = delete;
  std::FILE* file() { return file_; }
  void row_written() {
    ++rows_;
    std::fflush(file_);  // what was measured stays if the run is ended
  }

 private:
  std::string path_;
  std::FILE* file_ = nullptr;
  std::size_t rows_ = 0;
};

struct Memory {  // of the device, gone at the end
  explicit Memory(std::size_t bytes) {
    COLLECT_CUDA(cudaMalloc(&data, std::max<std::size_t>(bytes, 256)));
  }
  ~Memory() { cudaFree(data); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  void* data = nullptr;
};

// Random numbers in [-1, 1), in the format: equal ones flip few bits, draw less power and so run at
// higher clocks than real data.
void randomise(const Memory& memory, cudaDataType_t format, std::size_t elements);

// Milliseconds of one call: median over batches of calls that a CUDA graph replays back to back, so
// that neither launches nor the clock's resolution count. Caches are warm, as in the product's
// tables. A call that cannot be captured is timed in a plain loop.
double milliseconds(const std::function<void(cudaStream_t)>& call, bool capture = true);

}  // namespace collect
