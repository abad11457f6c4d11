#pragma once
// From a row of served measurements to the scenario that it was: deployment, engine settings and
// the closed loop of its client.
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "models/serving/spec.hpp"
#include "scenarios/loader/cards.hpp"
#include "scenarios/loader/scenario.hpp"
#include "validation/serving/served_rows.hpp"

namespace foretoken::validation::serving {

// What is needed to turn rows into scenarios, read once.
class RowReader {
 public:
  // `config_dir`: Hugging Face configs that come before the catalogue; empty = none. Throws
  // InputError where it is no folder.
  RowReader(const scenarios::loader::Catalogue& catalogue, const std::filesystem::path& config_dir);

  // Throws InputError (or InfeasibleError) with the reason where the row cannot be predicted.
  [[nodiscard]] models::serving::ServingSpec scenario(const ServedRow& row) const;
  // Host time that the row's version takes beyond the engine's default version, by the card: a fit
  // of the engine knows one version's.
  void add_version_host(const ServedRow& row, models::serving::EngineSpec& engine) const;

 private:
  [[nodiscard]] models::llm::ModelSpec model(const ServedRow& row) const;
  [[nodiscard]] const scenarios::loader::NodeCard& node(const ServedRow& row) const;
  [[nodiscard]] models::serving::EngineSpec engine(const ServedRow& row) const;

  scenarios::loader::Catalogue catalogue_;
  std::map<std::string, std::filesystem::path> models_;  // by plain name
  std::map<std::string, scenarios::loader::NodeCard> nodes_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, models::llm::ModelSpec> read_models_;
  mutable std::map<std::string, models::serving::EngineSpec> read_engines_;
};

// Name of a model without organisation and suffixes that do not change its dimensions
// (DESIGN section 5), in lower case.
std::string plain_model_name(std::string name);

}  // namespace foretoken::validation::serving
