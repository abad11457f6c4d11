#pragma once
// Reading the top-level object of a JSON text strictly: typed look-ups that collect every problem
// with its place, and a list of the keys nobody asked for. Internal to the loader's .cpp files.
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/error.hpp"

namespace foretoken::scenarios::loader {

class JsonObject {
 public:
  // Throws InputError if the text is no JSON object or has a key twice.
  JsonObject(std::string_view text, std::string_view file_name);

  [[nodiscard]] bool has(const std::string& key) const;  // present and not null
  void use(const std::string& key) { used_.insert(key); }
  // Whole number within [low, high]; on a problem notes it and returns `low`.
  int integer(const std::string& key, int low, int high);
  int integer_or(const std::string& key, int low, int high, int fallback);  // absent or null
  bool boolean_or(const std::string& key, bool fallback);
  std::string string_or(const std::string& key, std::string fallback);
  const nlohmann::json* find(const std::string& key);  // marks it used; nullptr if absent or null

  void error(const std::string& key, std::string message);  // at the key's place, if present
  [[nodiscard]] std::vector<std::string> unused() const;
  [[nodiscard]] std::vector<std::string> keys() const;
  [[nodiscard]] const std::vector<sim::core::Diagnostic>& problems() const { return problems_; }
  void throw_if_problems() const;
  // Like error(), for rules that join several values: silent once a value itself was refused.
  void conflict(const std::string& key, std::string message);

 private:
  sim::core::Diagnostic at(std::size_t offset, std::string message) const;
  void locate_keys();

  std::string_view text_;
  std::string file_;
  nlohmann::json root_;
  std::map<std::string, std::size_t> offsets_;  // key -> offset of its opening quote
  std::set<std::string> used_;
  std::vector<sim::core::Diagnostic> problems_;
};

}  // namespace foretoken::scenarios::loader
