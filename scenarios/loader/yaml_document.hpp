#pragma once
// The tree behind YamlFile. Built from yaml-cpp's events rather than its nodes, so that repeated
// keys are seen and every key has a place.
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "scenarios/loader/yaml_reader.hpp"

namespace foretoken::scenarios::loader::detail {

enum class Kind { null, scalar, list, map };

// Text that nodes come from: the file, or one --set.
struct Source {
  std::string name;
  std::vector<std::string> lines;
  bool is_override = false;
};

struct Place {
  const Source* source = nullptr;
  int line = 0;  // from 1; 0 = the source as a whole
  int column = 0;
};

struct Entry {
  std::string key;
  Place place;  // of the key
  Node* value = nullptr;
};

struct Node {
  Kind kind = Kind::null;
  Place place;
  std::string scalar;
  bool plain = true;  // not quoted
  std::vector<Entry> map;
  std::vector<Node*> list;
  std::vector<std::string> asked;  // keys that a getter has named
  bool all_asked = false;          // entries() was called: any key is fine
  bool checked = false;            // unknown keys already reported (aliases share nodes)

  [[nodiscard]] Node* find(std::string_view key) const;
};

struct Document {
  std::string name;
  std::string text;
  std::deque<Source> sources;  // stable addresses
  std::deque<Node> nodes;
  Node* root = nullptr;
  std::vector<sim::core::Diagnostic> diagnostics;
  std::vector<ResolvedValue> resolved;
  std::map<std::string, std::string> suggestions;  // unknown key -> key that is meant

  void resolve(ResolvedValue value);  // a key read again keeps its place in the order
  void note(const Place& place, const std::string& message, bool warning = false);
};

// Limits that no honest file meets.
inline constexpr std::size_t kMaxBytes = std::size_t{4} << 20;
inline constexpr std::size_t kMaxNodes = 200'000;
inline constexpr int kMaxDepth = 64;

// Parses `text` into nodes of the document. `column_shift` moves places of the first line (a
// value inside --set PATH=VALUE). Throws InputError on text that is not YAML.
Node* parse_into(Document& document, const Source& source, const std::string& text,
                 int column_shift = 0);

std::vector<std::string> split_lines(const std::string& text);

}  // namespace foretoken::scenarios::loader::detail
