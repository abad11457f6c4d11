// Measures operator times on a GPU of your own and writes the CSVs that `foretoken calibrate`
// packs.
#include <cstring>

#include "benchmarks.cuh"

namespace {

struct Part {
  const char* name;
  void (*run)(const collect::Options&);
};
const Part kParts[] = {{"gemm", collect::gemm},
                       {"copy", collect::copies},
                       {"elementwise", collect::elementwise},
                       {"attention", collect::attention},
                       {"nccl", collect::collectives}};

int usage(int code) {
  std::fprintf(
      code == 0 ? stdout : stderr,
      "usage: collect --gpu FOLDER [--out DIR] [--engine NAME-VERSION] [--quick] "
      "[--minutes N] [PART...]\n"
      "  --gpu FOLDER     the card's `tables`, or its name where it has none: h100_sxm, h20\n"
      "  --out DIR        where to write (measurements)\n"
      "  --engine N-V     whose matrix products these stand for (vllm-0.19.0)\n"
      "  --quick          a coarse grid: a minute in place of an hour\n"
      "  --minutes N      leave the matrix products after N minutes, a random part of the grid\n"
      "  PART             gemm, copy, elementwise, attention, nccl; all if none is named\n");
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  collect::Options options;
  std::vector<std::string> parts;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 >= argc) std::exit(usage(2));
      return argv[++i];
    };
    if (word == "--help" || word == "-h") return usage(0);
    if (word == "--gpu") {
      options.gpu = value();
    } else if (word == "--out") {
      options.folder = value();
    } else if (word == "--engine") {
      options.engine = value();
    } else if (word == "--quick") {
      options.quick = true;
    } else if (word == "--minutes") {
      options.minutes = std::atof(value().c_str());
      if (!(options.minutes > 0)) return usage(2);
    } else if (word.rfind("-", 0) == 0) {
      return usage(2);
    } else {
      parts.push_back(word);
    }
  }
  if (options.gpu.empty()) return usage(2);
  for (const std::string& part : parts)
    if (std::none_of(std::begin(kParts), std::end(kParts),
                     [&](const Part& known) { return part == known.name; }))
      return usage(2);
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::fprintf(stderr, "collect: no GPU that CUDA can use\n");
    return 1;
  }
  cudaDeviceProp device;
  COLLECT_CUDA(cudaGetDeviceProperties(&device, 0));
  std::printf("%s, %d SMs, %.1f GiB\n", device.name, device.multiProcessorCount,
              static_cast<double>(device.totalGlobalMem) / (1 << 30));
  for (const Part& part : kParts)
    if (parts.empty() || std::find(parts.begin(), parts.end(), part.name) != parts.end())
      part.run(options);
  return 0;
}
