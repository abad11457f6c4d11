#pragma once
// What every kind of card shares: where it lies, its head, and where its figures come from.
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "models/hardware/hardware.hpp"
#include "models/power/gpu_power.hpp"
#include "scenarios/loader/yaml_reader.hpp"

namespace foretoken::scenarios::loader {

class Catalogue;

// The file of a card: ROOT/scenarios/FOLDER/NAME.yaml, or a path relative to `base`. Throws
// InputError without a place if there is none.
std::filesystem::path find_card(const std::string& name, const Catalogue& catalogue,
                                const std::string& folder, const std::filesystem::path& base);
bool is_card_path(const std::string& name);

// Every .yaml file of ROOT/scenarios/FOLDER, in order of name.
std::vector<std::filesystem::path> card_files(const Catalogue& catalogue,
                                              const std::string& folder);

struct CardHead {
  std::string name, summary;
};
// `card: KIND`, `name` (that of the file) and `summary`.
CardHead read_head(const YamlFile& file, const std::filesystem::path& path, std::string_view kind);

// YYYY-MM-DD, or YYYY-MM or YYYY where a source says no more. Notes anything else at the node.
std::string read_date(const YamlNode& node, std::string_view key);

// Reads `sources`, a list of {of: [figures], is: text, date: ...}. Notes each of `figures` that the
// card gives without a source, and each source of something else. Figure -> "text (date)".
std::map<std::string, std::string> read_sources(const YamlNode& card,
                                                const std::vector<std::string_view>& figures);

// `peak: {bf16: 989TFLOPS, ...}`; `needed`: one of these formats must be there.
std::map<models::hardware::DType, sim::core::FlopsPerSecond> read_peaks(
    const YamlNode& card, const std::vector<models::hardware::DType>& needed);
// `tdp` and `idle`, which must be below it.
void read_watts(const YamlNode& card, sim::core::Watts& tdp, sim::core::Watts& idle);
// `power: {tensor, memory, link, busy, ceiling, basis, error}`.
models::power::PowerModel read_power_model(const YamlNode& card);

}  // namespace foretoken::scenarios::loader
