#include "validation/claims/claim_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "sim/core/error.hpp"
#include "validation/claims/formula.hpp"
#include "validation/claims/verdict.hpp"

namespace foretoken::validation::claims {
namespace {

namespace fs = std::filesystem;
using scenarios::loader::Ratio;
using scenarios::loader::YamlFile;
using scenarios::loader::YamlNode;
using sim::core::InputError;

Text read_text(const YamlNode& node, std::string_view key) {
  const YamlNode both = node.required_child(key);
  return {both.required<std::string>("en"), both.required<std::string>("zh")};
}

// Reads as arithmetic over quantities that are there.
std::string read_formula(const YamlNode& node, const Claim& claim) {
  const std::string text = node.text();
  try {
    for (const auto& name : variables_of(text)) {
      const bool known = std::any_of(claim.quantities.begin(), claim.quantities.end(),
                                     [&](const Quantity& q) { return q.name == name; });
      if (!known) node.error(fmt::format("nothing is called '{}' in this claim", name));
    }
  } catch (const InputError& error) {
    node.error(error.diagnostics().front().message);
  }
  return text;
}

// One figure, or a list of two: from and to.
void read_claimed(const YamlNode& node, const Claim& claim, Check& check) {
  if (node.is_list()) {
    const auto ends = node.items();
    if (ends.size() != 2) return node.error("a range has two ends: [FROM, TO]");
    check.low = read_formula(ends[0], claim);
    check.high = read_formula(ends[1], claim);
  } else {
    check.low = read_formula(node, claim);
  }
}

// Placeholders of a sentence must be names that exist.
void check_sentence(const YamlNode& place, const Text& text, const Claim& claim) {
  Values values;
  for (const auto& quantity : claim.quantities) values[quantity.name].value = 1.0;
  for (const std::string& sentence : {text.en, text.zh}) {
    try {
      (void)filled(sentence, values, {});
    } catch (const InputError& error) {
      place.error(error.diagnostics().front().message);
    }
  }
}

void read_quantities(const YamlNode& root, YamlFile& file, const fs::path& folder,
                     Workshop& workshop, Claim& claim) {
  for (const auto& [name, node] : root.child("quantities").entries()) {
    if (node.has("formula")) (void)read_formula(node.any_child("formula"), claim);
    if (node.child("with").exists())
      for (const auto& [key, value] : node.child("with").entries())
        (void)read_formula(value, claim);
    claim.quantities.push_back({name, read_quantity({file, node, folder, workshop})});
  }
}

Check read_check(const YamlNode& node, const Claim& claim) {
  Check check;
  check.says = read_text(node, "says");
  const int kinds =
      int{node.has("predicted")} + int{node.has("possible")} + int{node.has("consistent")};
  if (kinds != 1) node.error("give one of predicted, possible and consistent");
  if (node.has("possible")) {
    check.kind = Check::Kind::possible;
    check.formula = read_formula(node.any_child("possible"), claim);
  } else {
    const bool figure = node.has("predicted");
    check.kind = figure ? Check::Kind::figure : Check::Kind::consistent;
    check.formula = read_formula(node.any_child(figure ? "predicted" : "consistent"), claim);
    const YamlNode claimed = node.any_child("claimed");
    if (claimed.exists())
      read_claimed(claimed, claim, check);
    else
      node.error("missing key 'claimed'");
    check.within = node.required<Ratio>("within").value;
    check.unit = node.optional<std::string>("unit").value_or("");
    check.comparison =
        node.optional_choice<Comparison>("compare", {{"equal", Comparison::equal},
                                                     {"at_least", Comparison::at_least},
                                                     {"at_most", Comparison::at_most}})
            .value_or(Comparison::equal);
  }
  check.why = read_text(node, "why");
  check_sentence(node.any_child("why"), check.why, claim);
  return check;
}

}  // namespace

Claim read_claim(const fs::path& path, Workshop& workshop) {
  YamlFile file = YamlFile::open(path);
  const YamlNode root = file.root();
  Claim claim;
  claim.id = root.required<std::string>("claim");
  if (!claim.id.empty() && claim.id != path.stem().string()) {
    root.any_child("claim").error(
        fmt::format("the claim is called '{}' but its file '{}'; make "
                    "them equal",
                    claim.id, path.filename().string()));
  }
  claim.article = root.required<std::string>("article");
  claim.says = read_text(root, "says");
  read_quantities(root, file, path.parent_path(), workshop, claim);
  if (root.has("untestable")) {
    claim.untestable = read_text(root, "untestable");
  } else {
    for (const YamlNode& node : root.any_child("checks").items())
      claim.checks.push_back(read_check(node, claim));
    if (claim.checks.empty())
      root.error("nothing to check; give checks, or say in `untestable` why no machine can tell");
  }
  file.finish();
  return claim;
}

std::vector<fs::path> claim_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code status;
  for (fs::directory_iterator it(folder, status), end; !status && it != end; it.increment(status))
    if (it->path().extension() == ".yaml") files.push_back(it->path());
  if (files.empty())
    throw InputError(fmt::format("no claim files (*.yaml) in {}", folder.string()));
  const auto order = [](const fs::path& path) {
    const std::string name = path.stem().string();
    const std::size_t digit = std::min(name.find_first_of("0123456789"), name.size());
    return std::tuple(name.substr(0, digit), std::atoi(name.c_str() + digit), name);
  };
  std::sort(files.begin(), files.end(),
            [&](const fs::path& a, const fs::path& b) { return order(a) < order(b); });
  return files;
}

}  // namespace foretoken::validation::claims
