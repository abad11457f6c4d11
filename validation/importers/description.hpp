#pragma once
// NAME.json beside a trace: what ran, where the trace itself does not say.
#include <filesystem>
#include <optional>
#include <string>

#include "scenarios/loader/scenario.hpp"
#include "validation/importers/predict.hpp"

namespace foretoken::validation::importers {

struct Description {
  std::string gpu;  // card
  TrainingChunk chunk;
};

// NAME.json for NAME.csv.gz, NAME.csv, NAME.kineto.json.gz, ...; beside the trace, else among the
// product's own. Empty where there is none. Throws InputError on a description with mistakes.
std::optional<Description> find_description(const std::filesystem::path& trace,
                                            const scenarios::loader::Catalogue& catalogue);

}  // namespace foretoken::validation::importers
