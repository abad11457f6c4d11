#pragma once
// Typed, line-numbered reading of a YAML file. Getters never throw: a problem is noted with
// file:line:column and a harmless value comes back, so that one pass finds every problem.
// finish() then throws one InputError that lists them all.
//
//   YamlFile file = YamlFile::open(path);
//   YamlNode gpu = file.root().required_child("gpu");
//   spec.memory = gpu.required<Bytes>("memory", kPositive);
//   spec.tdp = gpu.value_or<Watts>("tdp", Watts(700));
//   spec.l2 = gpu.optional<Bytes>("l2_cache").value_or(Bytes(0));
//   for (const auto& [key, node] : gpu.required_child("peak").entries())
//     spec.peak[key] = node.as<FlopsPerSecond>(kPositive);
//   file.finish();   // unknown keys (never asked for) are errors too
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/cost/cost.hpp"
#include "sim/core/error.hpp"
#include "sim/core/time.hpp"
#include "sim/core/units.hpp"

namespace foretoken::scenarios::loader {

// A value as the run will use it, and who said so: "scenario.yaml:12", "card hgx-h200",
// "default", "--set".
struct ResolvedValue {
  std::string path;  // deployment.batching.max_tokens
  std::string value;
  std::string origin;
};

// Types a getter understands beside sim::core quantities, Duration, int, int64, uint64, bool and
// std::string.
struct Seconds {
  double value = 0.0;
};  // a span as floating-point seconds, from `20us`
struct Ratio {
  double value = 0.0;
};  // plain number or percent: 0.25 or 25%
template <class Tag>
struct MoneyOf {
  double amount = 0.0;
  models::cost::Currency currency = models::cost::Currency::USD;
};
using Money = MoneyOf<struct MoneyTag>;                      // 250000CNY
using MoneyPerKwh = MoneyOf<struct MoneyPerKwhTag>;          // 1.2CNY/kWh
using MoneyPerGpuHour = MoneyOf<struct MoneyPerGpuHourTag>;  // 2.00USD/GPU/h

// Allowed range in the base unit, ends included. Quantities and integers are never negative
// unless the range says so.
struct Limits {
  double min = 0.0;
  double max = std::numeric_limits<double>::infinity();
};
inline constexpr Limits kPositive{std::numeric_limits<double>::denorm_min(),
                                  std::numeric_limits<double>::infinity()};
inline constexpr Limits kAnyNumber{-std::numeric_limits<double>::infinity(),
                                   std::numeric_limits<double>::infinity()};
constexpr Limits at_least(double min) { return {min, std::numeric_limits<double>::infinity()}; }

template <class T>
using Choices = std::initializer_list<std::pair<std::string_view, T>>;

namespace detail {
struct Node;
struct Document;
}  // namespace detail

// A place in the file: a scalar, a list, a map, or nothing (exists() is false). Cheap to copy;
// valid as long as its YamlFile.
class YamlNode {
 public:
  [[nodiscard]] bool exists() const { return node_ != nullptr; }
  [[nodiscard]] bool is_scalar() const;
  [[nodiscard]] bool is_list() const;
  [[nodiscard]] bool is_map() const;
  [[nodiscard]] const std::string& path() const { return path_; }  // deployment.parallel.tensor
  [[nodiscard]] std::string origin() const;                        // scenario.yaml:12, or --set
  [[nodiscard]] std::string text() const;                          // a scalar as written, else ""

  // This node's own value. Of a bad or missing one: as() and required() give T{}, optional()
  // nothing, value_or() the fallback.
  template <class T>
  [[nodiscard]] T as(Limits limits = {}) const;

  // Values of a map, by key.
  [[nodiscard]] bool has(std::string_view key) const;
  template <class T>
  T required(std::string_view key, Limits limits = {}) const;
  template <class T>
  std::optional<T> optional(std::string_view key, Limits limits = {}) const;
  // The fallback is recorded among the resolved values under `origin`.
  template <class T>
  T value_or(std::string_view key, const T& fallback, Limits limits = {},
             std::string_view origin = "default") const;

  // One of a few words.
  template <class T>
  T required_choice(std::string_view key, Choices<T> choices) const {
    const std::optional<std::size_t> i = choose(key, words(choices), true);
    return i ? (choices.begin() + *i)->second : T{};
  }
  template <class T>
  std::optional<T> optional_choice(std::string_view key, Choices<T> choices) const {
    const std::optional<std::size_t> i = choose(key, words(choices), false);
    return i ? std::optional<T>((choices.begin() + *i)->second) : std::nullopt;
  }

  // Maps inside a map. A child that is asked for and missing reads as all defaults (`child`) or
  // is an error of its own and then silent (`required_child`).
  [[nodiscard]] YamlNode child(std::string_view key) const;           // a map, or absent
  [[nodiscard]] YamlNode required_child(std::string_view key) const;  // a map
  [[nodiscard]] YamlNode any_child(std::string_view key) const;       // any kind, or absent

  // Every entry of a map with free keys; every item of a list. Empty if absent.
  [[nodiscard]] std::vector<std::pair<std::string, YamlNode>> entries() const;
  [[nodiscard]] std::vector<YamlNode> items() const;

  // Note a problem found by the caller. `offset`: characters into the scalar.
  void error(const std::string& message, int offset = 0) const;
  void warning(const std::string& message, int offset = 0) const;
  void error_at_key(std::string_view key, const std::string& message) const;
  // Note what the run uses for a key that the file does not give.
  void resolve(std::string_view key, const std::string& value, std::string_view origin) const;

 private:
  friend class YamlFile;
  YamlNode(detail::Document* document, detail::Node* node, std::string path, bool silent)
      : document_(document), node_(node), path_(std::move(path)), silent_(silent) {}
  template <class T>
  static std::vector<std::string> words(Choices<T> choices) {
    std::vector<std::string> result;
    for (const auto& choice : choices) result.emplace_back(choice.first);
    return result;
  }
  template <class T>
  [[nodiscard]] std::optional<T> read(Limits limits) const;
  std::optional<std::size_t> choose(std::string_view key, const std::vector<std::string>& words,
                                    bool must_exist) const;
  [[nodiscard]] YamlNode find(std::string_view key) const;
  [[nodiscard]] YamlNode find_required(std::string_view key) const;
  [[nodiscard]] std::string path_of(std::string_view key) const;
  void note(const std::string& message, int offset, bool warning) const;

  detail::Document* document_ = nullptr;
  detail::Node* node_ = nullptr;
  std::string path_;
  bool silent_ = false;  // inside something already reported: say nothing more
};

class YamlFile {
 public:
  // Both throw InputError at once when there is nothing to read: no such file, too large, not
  // text, not YAML.
  static YamlFile open(const std::filesystem::path& file);
  static YamlFile parse(const std::string& text, const std::string& name);
  ~YamlFile();
  YamlFile(YamlFile&&) noexcept;
  YamlFile& operator=(YamlFile&&) noexcept;

  [[nodiscard]] YamlNode root() const;
  [[nodiscard]] const std::string& name() const;
  [[nodiscard]] const std::string& text() const;

  // Where key `ours` is known, `theirs` is answered with it.
  void suggest(const std::string& theirs, const std::string& ours);

  // Replaces or adds one value: "deployment.replicas=2", as given to --set.
  void override_value(const std::string& assignment);

  // Adds problems found elsewhere, e.g. in a card this file names.
  void absorb(const std::vector<sim::core::Diagnostic>& diagnostics);

  // Reports keys that nobody has asked for so far; finish() does it if this was not called.
  void check_keys();
  // Throws InputError if any problem is an error.
  void finish();
  [[nodiscard]] bool ok() const;  // no error so far
  [[nodiscard]] std::vector<sim::core::Diagnostic> warnings() const;
  [[nodiscard]] const std::vector<ResolvedValue>& resolved() const;  // in the order read

 private:
  explicit YamlFile(std::unique_ptr<detail::Document> document);
  std::unique_ptr<detail::Document> document_;
};

}  // namespace foretoken::scenarios::loader
