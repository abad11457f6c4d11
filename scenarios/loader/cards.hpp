#pragma once
// Cards of the catalogue: GPUs, CPUs, network cards, storage, nodes, engines, prices. Every figure
// of a card has a source and a date in the card itself; a card with a figure of unknown origin is
// refused. All problems of a card are reported at once, each with file:line:column.
//
// `name` is a catalogue name (hgx-h200) or a path (contains '/' or ends in .yaml), taken relative
// to `base`, the folder of the file that names it.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "models/cost/cost.hpp"
#include "models/cost/ledger.hpp"
#include "models/hardware/hardware.hpp"
#include "models/power/gpu_power.hpp"
#include "models/serving/spec.hpp"
#include "sim/core/error.hpp"

namespace foretoken::scenarios::loader {

class Catalogue;

// A card with the files it was read from (itself first) and what the user should know.
template <class T>
struct Loaded {
  T card;
  std::vector<std::filesystem::path> files;
  std::vector<sim::core::Diagnostic> warnings;
};

struct GpuCard {
  std::string summary;
  models::hardware::GpuSpec spec;
  models::power::PowerModel power;
  sim::core::Hertz boost_clock;
};

struct CpuCard {
  std::string summary;
  models::hardware::CpuSpec spec;
  models::power::PowerModel power;  // of one socket with its memory
};

struct NicCard {
  std::string summary;
  models::hardware::NicSpec spec;
};

struct StorageCard {
  std::string summary;
  models::hardware::StorageSpec spec;
};

struct NodeCard {
  std::string summary;
  models::hardware::NodeSpec spec;  // with its GPU, and its CPU where the card names one
  models::power::PowerModel power;  // of its GPU, or of a socket where there is none
};

struct PriceCard {
  std::string name, summary;
  models::cost::ExchangeRate exchange;               // cny_per_usd 0 = the card gives none
  std::map<std::string, models::cost::Price> nodes;  // bought, by node card
  std::map<std::string, models::cost::Price> gpus;   // bought, by GPU card
  std::map<std::string, std::map<std::string, models::cost::Price>> rent;  // GPU card -> tier
  std::map<std::string, models::cost::Price> electricity;                  // a kWh, by tariff
  std::map<std::string, models::cost::ApiPrices> apis;  // a million tokens, by name
};

Loaded<GpuCard> load_gpu(const std::string& name, const Catalogue& catalogue,
                         const std::filesystem::path& base = {});
Loaded<CpuCard> load_cpu(const std::string& name, const Catalogue& catalogue,
                         const std::filesystem::path& base = {});
Loaded<NicCard> load_nic(const std::string& name, const Catalogue& catalogue,
                         const std::filesystem::path& base = {});
Loaded<StorageCard> load_storage(const std::string& name, const Catalogue& catalogue,
                                 const std::filesystem::path& base = {});
Loaded<NodeCard> load_node(const std::string& name, const Catalogue& catalogue,
                           const std::filesystem::path& base = {});
// sglang-0.5.9, or sglang for its card's default version. Where no card lists the version, the
// nearest listed one serves and a warning names it.
Loaded<models::serving::EngineSpec> load_engine(const std::string& name, const Catalogue& catalogue,
                                                const std::filesystem::path& base = {});
// What the card of `engine` says of all its versions: the default one without figures of its own.
models::serving::EngineSpec load_engine_family(const std::string& engine,
                                               const Catalogue& catalogue);
Loaded<PriceCard> load_prices(const std::string& name, const Catalogue& catalogue,
                              const std::filesystem::path& base = {});

// A price that must be there; throws InputError that lists what the card has.
const models::cost::Price& node_price(const PriceCard& prices, const std::string& node);
const models::cost::Price& rent_price(const PriceCard& prices, const std::string& gpu,
                                      const std::string& tier);
const models::cost::Price& electricity_price(const PriceCard& prices, const std::string& tariff);

// One warning for a price whose validity ended before `today` (YYYY-MM-DD), else nothing.
std::vector<sim::core::Diagnostic> stale_price(const std::string& what,
                                               const models::cost::Price& price,
                                               const std::string& today);

// Names of the cards of a kind (gpu, cpu, nic, storage, node, engine, prices) with their one-line
// summary, by name.
struct CardEntry {
  std::string name, summary;
  std::filesystem::path file;
};
std::vector<CardEntry> list_cards(const std::string& kind, const Catalogue& catalogue);

}  // namespace foretoken::scenarios::loader
