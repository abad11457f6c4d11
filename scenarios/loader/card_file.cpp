#include "scenarios/loader/card_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "scenarios/loader/quantity.hpp"
#include "scenarios/loader/scenario.hpp"
#include "sim/core/error.hpp"

namespace foretoken::scenarios::loader {

namespace fs = std::filesystem;
using sim::core::InputError;

bool is_card_path(const std::string& name) {
  return name.find('/') != std::string::npos || name.ends_with(".yaml") || name.ends_with(".yml");
}

std::vector<fs::path> card_files(const Catalogue& catalogue, const std::string& folder) {
  std::vector<fs::path> files;
  std::error_code status;
  for (fs::directory_iterator it(catalogue.root() / "scenarios" / folder, status), end;
       !status && it != end; it.increment(status)) {
    if (it->path().extension() == ".yaml") files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

fs::path find_card(const std::string& name, const Catalogue& catalogue, const std::string& folder,
                   const fs::path& base) {
  if (name.empty()) throw InputError(fmt::format("no {} card is named", folder));
  if (is_card_path(name)) {
    const fs::path path = base / name;
    if (!fs::is_regular_file(path)) {
      throw InputError(
          fmt::format("no file '{}'; a path is relative to the file that names it", path.string()));
    }
    return path;
  }
  std::vector<std::string> names;
  for (const fs::path& file : card_files(catalogue, folder)) {
    if (file.stem().string() == name) return file;
    names.push_back(file.stem().string());
  }
  const auto near = did_you_mean(name, names);
  throw InputError(fmt::format("no card '{}' in scenarios/{}; {}", name, folder,
                               near ? fmt::format("did you mean '{}'?", *near)
                                    : fmt::format("write a path to one of your own, or one of: {}",
                                                  fmt::join(names, ", "))));
}

CardHead read_head(const YamlFile& file, const fs::path& path, std::string_view kind) {
  const YamlNode root = file.root();
  const std::string found = root.required<std::string>("card");
  if (!found.empty() && found != kind) {
    root.any_child("card").error(
        fmt::format("this is a card of kind '{}'; expected '{}'", found, kind));
  }
  CardHead head;
  head.name = root.required<std::string>("name");
  head.summary = root.required<std::string>("summary");
  const std::string stem = path.stem().string();
  if (!head.name.empty() && head.name != stem) {
    root.any_child("name").error(fmt::format(
        "the card is named '{}' but its file '{}.yaml'; make them equal", head.name, stem));
  }
  return head;
}

std::string read_date(const YamlNode& node, std::string_view key) {
  const std::string date = node.required<std::string>(key);
  if (date.empty()) return date;
  constexpr std::string_view kShape = "dddd-dd-dd";
  bool good = date.size() == 4 || date.size() == 7 || date.size() == 10;
  for (std::size_t i = 0; good && i < date.size(); ++i) {
    good =
        kShape[i] == 'd' ? std::isdigit(static_cast<unsigned char>(date[i])) != 0 : date[i] == '-';
  }
  const auto within = [&date](std::size_t at, int most) {
    if (date.size() < at + 2) return true;
    const int value = (date[at] - '0') * 10 + (date[at + 1] - '0');
    return value >= 1 && value <= most;
  };
  if (!good || !within(5, 12) || !within(8, 31)) {
    node.any_child(key).error(
        fmt::format("'{}' is not a date; write YYYY-MM-DD, YYYY-MM or YYYY", date));
  }
  return date;
}

std::map<std::string, std::string> read_sources(const YamlNode& card,
                                                const std::vector<std::string_view>& figures) {
  std::map<std::string, std::string> sources;
  const std::vector<std::string> known(figures.begin(), figures.end());
  for (const YamlNode& item : card.any_child("sources").items()) {
    const std::string text = item.required<std::string>("is");
    const std::string date = read_date(item, "date");
    for (const YamlNode& of : item.any_child("of").items()) {
      const auto figure = of.as<std::string>();
      if (std::find(known.begin(), known.end(), figure) == known.end()) {
        const auto near = did_you_mean(figure, known);
        of.error(fmt::format("'{}' is no figure of such a card{}", figure,
                             near ? fmt::format("; did you mean '{}'?", *near) : ""));
      } else if (!card.has(figure)) {
        of.error(fmt::format("a source for '{}', which this card does not give", figure));
      } else if (!sources.emplace(figure, fmt::format("{} ({})", text, date)).second) {
        of.error(fmt::format("'{}' has a source already", figure));
      }
    }
  }
  for (const std::string& figure : known) {
    if (card.has(figure) && !sources.contains(figure)) {
      card.any_child(figure).error(
          fmt::format("'{}' has no source; name it in sources: - {{of: [{}], is: ..., date: ...}}",
                      figure, figure));
    }
  }
  return sources;
}

namespace {

using models::hardware::DType;
using sim::core::FlopsPerSecond;
using sim::core::Watts;

}  // namespace

std::map<DType, FlopsPerSecond> read_peaks(const YamlNode& card, const std::vector<DType>& needed) {
  std::map<DType, FlopsPerSecond> peaks;
  for (const auto& [key, node] : card.required_child("peak").entries()) {
    const auto dtype = models::hardware::parse_dtype(key);
    const auto rate = node.as<FlopsPerSecond>(kPositive);
    if (!dtype) {
      node.error(fmt::format(
          "'{}' is no number format; known: fp32 tf32 bf16 fp16 fp8 int8 fp4 int4", key));
    } else {
      peaks[*dtype] = rate;
    }
  }
  bool found = false;
  std::string names;
  for (const DType dtype : needed) {
    found = found || peaks.contains(dtype);
    names += fmt::format("{}{}", names.empty() ? "" : " nor ", to_string(dtype));
  }
  if (card.has("peak") && !found) {
    card.error_at_key("peak",
                      needed.size() == 1
                          ? fmt::format("peak: {} is not given, and is needed", names)
                          : fmt::format("peak: neither {} is given; one of them is needed", names));
  }
  return peaks;
}

void read_watts(const YamlNode& card, Watts& tdp, Watts& idle) {
  tdp = card.required<Watts>("tdp", kPositive);
  idle = card.required<Watts>("idle");
  if (card.has("tdp") && card.has("idle") && idle >= tdp) {
    card.any_child("idle").error("idle power must be below tdp");
  }
}

models::power::PowerModel read_power_model(const YamlNode& card) {
  using sim::core::Provenance;
  constexpr Limits kShare{0.0, 1.0};
  constexpr Limits kPositiveShare{kPositive.min, 1.0};
  const YamlNode node = card.required_child("power");
  models::power::PowerModel power;
  power.tensor = node.required<Ratio>("tensor").value;
  power.memory = node.required<Ratio>("memory").value;
  power.link = node.required<Ratio>("link").value;
  power.busy = node.required<Ratio>("busy", kShare).value;
  power.ceiling = node.value_or<Ratio>("ceiling", Ratio{1.0}, kPositiveShare).value;
  power.provenance = node.required_choice<Provenance>(
      "basis", {{"calibrated", Provenance::calibrated}, {"assumed", Provenance::assumed}});
  power.relative_error = node.required<Ratio>("error").value;
  return power;
}

}  // namespace foretoken::scenarios::loader
