// PyTorch profiler traces.
#include "validation/importers/kineto.hpp"

#include "tests/fuzz/target.hpp"

using namespace foretoken;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const tests::fuzz::InputFile file(".json");
  tests::fuzz::expect_answer([&] { validation::importers::read_kineto(file.write(data, size)); });
  return 0;
}
