#pragma once
// An engine's own command line, as its users write it: `--tp-size 8 --chunked-prefill-size 8192`.
// Which flags there are and what they set is data: scenarios/engines/flags/ENGINE.yaml.
#include <map>
#include <string>
#include <vector>

#include "models/serving/spec.hpp"

namespace foretoken::scenarios::loader {

class Catalogue;

struct EngineArgs {
  struct Value {
    std::string flag;  // as written
    std::string text;  // "8", "chunked_prefill", "on"
  };
  std::map<std::string, Value> sets;  // by what is set: tp, max_tokens, policy, ...
  std::vector<std::string> ignored;   // one sentence for each flag that changes nothing
  // The value of a number; `fallback` if no flag sets it.
  [[nodiscard]] int whole(const std::string& what, int fallback) const;
  [[nodiscard]] double number(const std::string& what, double fallback) const;
  [[nodiscard]] const Value* find(const std::string& what) const;
};

// Throws InputError with every flag that the engine does not have, and every value that is none.
EngineArgs parse_engine_args(const std::string& text, const std::string& engine,
                             const Catalogue& catalogue);

// The parts of a deployment that flags set, before the scenario's own keys are read: the engine's
// defaults, the model's context.
void apply_to_engine(const EngineArgs& args, models::serving::DeploymentSpec& deployment);
// ... and after: layout, formats. Throws InputError if they cannot be, e.g. attention ranks that do
// not divide the tensor parallelism.
void apply_to_layout(const EngineArgs& args, models::serving::DeploymentSpec& deployment);

}  // namespace foretoken::scenarios::loader
