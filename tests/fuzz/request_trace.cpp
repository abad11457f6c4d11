// What a workload is read from: traces of requests, CSV and JSON lines, gzipped or not, and packed
// pools of clients.
#include "scenarios/loader/client_pool_file.hpp"
#include "scenarios/loader/trace.hpp"
#include "tests/fuzz/target.hpp"

using namespace foretoken;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const tests::fuzz::InputFile table(".csv"), lines(".jsonl");
  const std::filesystem::path& csv = table.write(data, size);
  tests::fuzz::expect_answer([&] {
    if (scenarios::loader::is_client_pool(csv))
      (void)scenarios::loader::read_client_pool(csv);
    else
      (void)scenarios::loader::read_trace_file(csv);
  });
  tests::fuzz::expect_answer(
      [&] { (void)scenarios::loader::read_trace_file(lines.write(data, size)); });
  return 0;
}
