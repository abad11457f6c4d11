// Traces of requests: CSV and JSON lines, gzipped or not.
#include "scenarios/loader/trace.hpp"
#include "tests/fuzz/target.hpp"

using namespace foretoken;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const tests::fuzz::InputFile file(".csv");
  tests::fuzz::expect_answer([&] { scenarios::loader::read_trace(file.write(data, size)); });
  return 0;
}
