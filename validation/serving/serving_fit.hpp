#pragma once
// What served rows teach: few factors an engine, and how each family of runs was made. One set from
// all rows, and one a fold from the rows of the other folds (`foretoken calibrate serving`).
#include <array>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "validation/serving/assumptions.hpp"
#include "validation/serving/served_rows.hpp"

namespace foretoken::validation::serving {

// How a family of runs was made, where the rows do not say.
struct RunProtocol {
  std::string name;  // see protocols()
  std::string words;
  Settings settings;
};
// The documented one first. Inferred ones apply to sources whose protocol is not stated.
const std::vector<RunProtocol>& protocols();
bool protocol_is_stated(const ServedRow& row);
bool protocol_may_hold(std::size_t protocol, const ServedRow& row);

// What the client's clock adds to a request before it notes the first token.
struct ClientClock {
  double seconds = 0.0;  // a constant
  double tokens = 0.0;   // tokens gathered before the first chunk is shown
};

struct FitSet {
  std::map<std::string, Settings> engines;
  std::map<std::string, std::size_t> protocol;  // by family, finest first; see families_of
  std::map<std::string, ClientClock> clock;

  [[nodiscard]] std::size_t protocol_of(const ServedRow& row) const;
  [[nodiscard]] ClientClock clock_of(const ServedRow& row) const;
};

struct ServingFit {
  std::string rows_hash;  // of the rows it was made from
  FitSet all;
  std::array<FitSet, kFolds> folds;
};

// Families that a row belongs to, the finest first: a family nobody has seen falls back to the
// next.
std::vector<std::string> protocol_families(const ServedRow& row);
std::vector<std::string> clock_families(const ServedRow& row);

// Settings of a row under a set: its engine's factors, then its family's protocol.
Settings settings_of(const FitSet& set, const ServedRow& row);

struct Fitted {  // one parameter of an engine
  const char* name;
  double start, low, high;
};
const std::vector<Fitted>& fitted_parameters();
// Of the engine; chosen, not fitted (see InSitu::kernel_slack).
double kernel_slack(const std::string& engine);

ServingFit read_serving_fit(const std::filesystem::path& file);  // throws InputError
void write_serving_fit(const std::filesystem::path& file, const ServingFit& fit);

}  // namespace foretoken::validation::serving
