// Hugging Face config.json.
#include "scenarios/loader/model_config.hpp"

#include "tests/fuzz/target.hpp"

using namespace foretoken;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  tests::fuzz::expect_answer([&] { scenarios::loader::parse_model_config(text, "config.json"); });
  return 0;
}
