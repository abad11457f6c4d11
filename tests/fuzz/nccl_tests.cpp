// Output of nccl-tests.
#include "validation/importers/nccl_tests.hpp"

#include "tests/fuzz/target.hpp"

using namespace foretoken;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const tests::fuzz::InputFile file(".txt");
  const std::filesystem::path& path = file.write(data, size);
  tests::fuzz::expect_answer([&] { (void)validation::importers::is_nccl_tests(path); });
  tests::fuzz::expect_answer([&] { (void)validation::importers::read_nccl_tests(path); });
  return 0;
}
