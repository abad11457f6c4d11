#include "scenarios/loader/yaml_document.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <sstream>
#include <unordered_map>

namespace foretoken::scenarios::loader::detail {
namespace {

using sim::core::InputError;

class Builder : public YAML::EventHandler {
 public:
  Builder(Document& document, const Source& source, int column_shift)
      : document_(document), source_(source), column_shift_(column_shift) {}

  [[nodiscard]] Node* root() const { return root_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(make(Kind::null, mark, anchor), mark);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) fail(place_of(mark), "unknown alias");
    for (const Open& open : stack_) {
      if (open.node == found->second) fail(place_of(mark), "an alias inside its own anchor");
    }
    add(found->second, mark);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node* const node = make(Kind::scalar, mark, anchor);
    node->scalar = value;
    node->plain = tag != "!";  // yaml-cpp: "!" for quoted, "?" for plain
    if (node->plain && (value == "null" || value == "~" || value.empty())) node->kind = Kind::null;
    add(node, mark);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(make(Kind::list, mark, anchor), mark);
  }
  void OnSequenceEnd() override { stack_.pop_back(); }

  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(make(Kind::map, mark, anchor), mark);
  }
  void OnMapEnd() override {
    merge(*stack_.back().node);
    stack_.pop_back();
  }

 private:
  struct Open {
    Node* node = nullptr;
    bool has_key = false;  // in a map: the next value belongs to `key`
    std::string key;
    Place key_place;
  };

  [[nodiscard]] Place place_of(const YAML::Mark& mark) const {
    return {&source_, mark.line + 1, mark.column + 1 + (mark.line == 0 ? column_shift_ : 0)};
  }

  [[noreturn]] void fail(const Place& place, const std::string& message) {
    document_.note(place, message);
    throw InputError(document_.diagnostics);
  }

  Node* make(Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (document_.nodes.size() >= kMaxNodes) {
      fail(place_of(mark), fmt::format("more than {} values in one file", kMaxNodes));
    }
    Node& node = document_.nodes.emplace_back();
    node.kind = kind;
    node.place = place_of(mark);
    if (anchor != 0) anchors_[anchor] = &node;
    return &node;
  }

  void open(Node* node, const YAML::Mark& mark) {
    if (stack_.size() >= static_cast<std::size_t>(kMaxDepth)) {
      fail(place_of(mark), fmt::format("nested more than {} levels deep", kMaxDepth));
    }
    add(node, mark);
    stack_.push_back({node, false, {}, {}});
  }

  void add(Node* node, const YAML::Mark& mark) {
    if (stack_.empty()) {
      root_ = node;
      return;
    }
    Open& open = stack_.back();
    if (open.node->kind == Kind::list) {
      open.node->list.push_back(node);
    } else if (!open.has_key) {
      if (node->kind != Kind::scalar)
        fail(place_of(mark), "a key must be a plain word (or a bracket does not close)");
      open.has_key = true;
      open.key = node->scalar;
      open.key_place = place_of(mark);
    } else {
      open.has_key = false;
      add_entry(open, node);
    }
  }

  void add_entry(Open& open, Node* node) {
    if (const Entry* const earlier = find_entry(*open.node, open.key)) {
      document_.note(open.key_place, fmt::format("'{}' is given twice; the first is in line {}",
                                                 open.key, earlier->place.line));
      return;
    }
    // A map, a list or nothing is best shown where its name stands.
    if (node->kind != Kind::scalar) node->place = open.key_place;
    open.node->map.push_back({open.key, open.key_place, node});
  }

  static const Entry* find_entry(const Node& node, const std::string& key) {
    for (const Entry& entry : node.map) {
      if (entry.key == key) return &entry;
    }
    return nullptr;
  }

  // `<<: *base` takes over the entries that the map does not have itself.
  void merge(Node& node) {
    Node* const base = node.find("<<");
    if (base == nullptr) return;
    if (base->kind != Kind::map) fail(base->place, "'<<' merges a map: write <<: *anchor");
    std::erase_if(node.map, [](const Entry& entry) { return entry.key == "<<"; });
    for (const Entry& entry : base->map) {
      if (find_entry(node, entry.key) == nullptr) node.map.push_back(entry);
    }
  }

  Document& document_;
  const Source& source_;
  int column_shift_;
  Node* root_ = nullptr;
  std::vector<Open> stack_;
  std::unordered_map<YAML::anchor_t, Node*> anchors_;
};

// yaml-cpp's message, without its own place prefix, and with the two commonest causes spelt out.
std::string syntax_message(const YAML::Exception& exception, const std::string& line) {
  std::string message = "not valid YAML: " + exception.msg;
  const std::size_t text = line.find_first_not_of(" \t");
  if (line.substr(0, text).find('\t') != std::string::npos) {
    return message + " (a tab; indent with spaces)";
  }
  if (exception.msg.find("illegal map value") != std::string::npos) {
    message += " (a second ': ' on the line? quote the text, or check the indentation)";
  } else if (exception.msg.find("end of map not found") != std::string::npos) {
    message += " (check the indentation)";
  }
  return message;
}

}  // namespace

Node* Node::find(std::string_view key) const {
  for (const Entry& entry : map) {
    if (entry.key == key) return entry.value;
  }
  return nullptr;
}

void Document::resolve(ResolvedValue value) {
  for (ResolvedValue& earlier : resolved) {
    if (earlier.path == value.path) {
      earlier = std::move(value);
      return;
    }
  }
  resolved.push_back(std::move(value));
}

void Document::note(const Place& place, const std::string& message, bool warning) {
  sim::core::Diagnostic diagnostic;
  diagnostic.file = place.source != nullptr ? place.source->name : name;
  diagnostic.line = place.line;
  diagnostic.column = place.line > 0 ? place.column : 0;
  diagnostic.message = message;
  diagnostic.warning = warning;
  if (place.source != nullptr && place.line > 0 &&
      static_cast<std::size_t>(place.line) <= place.source->lines.size()) {
    diagnostic.source_line = place.source->lines[static_cast<std::size_t>(place.line) - 1];
  }
  for (const sim::core::Diagnostic& earlier : diagnostics) {  // a key may be asked for twice
    if (earlier.file == diagnostic.file && earlier.line == diagnostic.line &&
        earlier.column == diagnostic.column && earlier.message == diagnostic.message) {
      return;
    }
  }
  diagnostics.push_back(std::move(diagnostic));
}

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t start = 0;
  while (start <= text.size()) {
    std::size_t stop = text.find('\n', start);
    if (stop == std::string::npos) stop = text.size();
    std::string line = text.substr(start, stop - start);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    lines.push_back(std::move(line));
    start = stop + 1;
  }
  return lines;
}

Node* parse_into(Document& document, const Source& source, const std::string& text,
                 int column_shift) {
  Builder builder(document, source, column_shift);
  std::istringstream stream(text);
  try {
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) return nullptr;
    Node* const root = builder.root();
    Builder second(document, source, column_shift);
    if (parser.HandleNextDocument(second) && second.root() != nullptr) {
      document.note(second.root()->place, "a second document; one file holds one (remove the ---)");
      throw InputError(document.diagnostics);
    }
    return root;
  } catch (const YAML::Exception& exception) {
    Place place{&source, 0, 0};
    if (!exception.mark.is_null()) {
      place.line = exception.mark.line + 1;
      place.column = exception.mark.column + 1 + (exception.mark.line == 0 ? column_shift : 0);
    }
    const auto line = static_cast<std::size_t>(place.line);
    const bool known = line >= 1 && line <= source.lines.size();
    document.note(place, syntax_message(exception, known ? source.lines[line - 1] : ""));
    throw InputError(document.diagnostics);
  }
}

}  // namespace foretoken::scenarios::loader::detail
