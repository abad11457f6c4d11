// Flags of engines as their users write them, and matrices of nvidia-smi: short texts.
#include "scenarios/loader/engine_args.hpp"

#include "scenarios/loader/scenario.hpp"
#include "scenarios/loader/topology_matrix.hpp"
#include "tests/fuzz/target.hpp"

using namespace foretoken;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const scenarios::loader::Catalogue catalogue(FORETOKEN_SOURCE_DIR);
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const char* engine : {"sglang", "vllm", "trtllm"})
    tests::fuzz::expect_answer([&] {
      models::serving::DeploymentSpec deployment;
      const auto args = scenarios::loader::parse_engine_args(text, engine, catalogue);
      scenarios::loader::apply_to_engine(args, deployment);
      scenarios::loader::apply_to_layout(args, deployment);
    });
  tests::fuzz::expect_answer(
      [&] { (void)scenarios::loader::read_topology_matrix(text, "matrix.txt", {}); });
  return 0;
}
