// Tables of kernels (.csv).
#include "tests/fuzz/target.hpp"
#include "validation/importers/trace.hpp"

using namespace foretoken;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const tests::fuzz::InputFile file(".csv");
  tests::fuzz::expect_answer([&] { validation::importers::read_trace(file.write(data, size)); });
  return 0;
}
