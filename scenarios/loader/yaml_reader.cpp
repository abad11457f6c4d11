#include "scenarios/loader/yaml_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>

#include "scenarios/loader/quantity.hpp"
#include "scenarios/loader/yaml_document.hpp"

namespace foretoken::scenarios::loader {

using detail::Document;
using detail::Entry;
using detail::Kind;
using detail::Node;
using detail::Place;
using detail::Source;
using models::cost::Currency;
using sim::core::Diagnostic;
using sim::core::InputError;

namespace {

std::string_view kind_words(Kind kind) {
  switch (kind) {
    case Kind::null:
      return "nothing";
    case Kind::scalar:
      return "a single value";
    case Kind::list:
      return "a list";
    case Kind::map:
      return "a map of keys";
  }
  return "";
}

std::string_view to_text(Currency currency) { return currency == Currency::CNY ? "CNY" : "USD"; }

// How each type is read from a scalar and written back. read() returns a problem, or "".
template <class T>
struct Codec;

template <class T, Dimension D>
struct QuantityCodec {
  static std::string range_text(double v) { return format_quantity(v, D); }
  static std::string read(const std::string& text, const Limits& limits, T& out) {
    const QuantityText parsed = parse_quantity(text, D);
    if (!parsed.value) return parsed.problem;
    const double value = *parsed.value;
    if (value < limits.min) {
      if (limits.min > 0.0 && limits.min < 1e-300) {
        return fmt::format("'{}' must be greater than 0", text);
      }
      return limits.min == 0.0
                 ? fmt::format("'{}' must not be negative", text)
                 : fmt::format("'{}' is too small; at least {}", text, range_text(limits.min));
    }
    if (value > limits.max) {
      return fmt::format("'{}' is too large; at most {}", text, range_text(limits.max));
    }
    return assign(parsed, out);
  }
  static std::string assign(const QuantityText& parsed, T& out) {
    if constexpr (requires { out.currency; }) {
      out.amount = *parsed.value;
      out.currency = parsed.currency == "CNY" ? Currency::CNY : Currency::USD;
    } else if constexpr (requires { out.ps(); }) {
      if (std::abs(*parsed.value) > 9.2e6) return "longer than simulated time reaches (106 days)";
      out = sim::core::Duration::from_seconds(*parsed.value);
    } else if constexpr (requires { out.value() + 0.0; }) {
      out = T(*parsed.value);
    } else {
      out.value = *parsed.value;
    }
    return {};
  }
  static std::string write(const T& value) {
    if constexpr (requires { value.currency; }) {
      return format_quantity(value.amount, D, to_text(value.currency));
    } else if constexpr (requires { value.ps(); }) {
      return format_quantity(value.seconds(), D);
    } else if constexpr (requires { value.value() + 0.0; }) {
      return format_quantity(value.value(), D);
    } else {
      return format_quantity(value.value, D);
    }
  }
};

template <>
struct Codec<sim::core::Bytes> : QuantityCodec<sim::core::Bytes, Dimension::bytes> {};
template <>
struct Codec<sim::core::BytesPerSecond>
    : QuantityCodec<sim::core::BytesPerSecond, Dimension::bytes_per_second> {};
template <>
struct Codec<sim::core::FlopsPerSecond>
    : QuantityCodec<sim::core::FlopsPerSecond, Dimension::flops_per_second> {};
template <>
struct Codec<sim::core::Watts> : QuantityCodec<sim::core::Watts, Dimension::watts> {};
template <>
struct Codec<sim::core::Hertz> : QuantityCodec<sim::core::Hertz, Dimension::hertz> {};
template <>
struct Codec<sim::core::Duration> : QuantityCodec<sim::core::Duration, Dimension::seconds> {};
template <>
struct Codec<Seconds> : QuantityCodec<Seconds, Dimension::seconds> {};
template <>
struct Codec<Ratio> : QuantityCodec<Ratio, Dimension::ratio> {};
template <>
struct Codec<Money> : QuantityCodec<Money, Dimension::money> {};
template <>
struct Codec<MoneyPerKwh> : QuantityCodec<MoneyPerKwh, Dimension::money_per_kwh> {};
template <>
struct Codec<MoneyPerGpuHour> : QuantityCodec<MoneyPerGpuHour, Dimension::money_per_gpu_hour> {};

template <class T>
struct IntegerCodec {
  static std::string read(const std::string& text, const Limits& limits, T& out) {
    const char* const end = text.data() + text.size();
    T value = 0;
    const auto [stop, status] = std::from_chars(text.data(), end, value);
    if (status == std::errc::result_out_of_range) return too_large(text, limits);
    if (status != std::errc{} || stop != end) {
      return fmt::format("'{}' is not a whole number", text);
    }
    if (static_cast<double>(value) < limits.min) {
      return fmt::format("{} is too small; at least {}", text, std::ceil(limits.min));
    }
    if (static_cast<double>(value) > limits.max) return too_large(text, limits);
    out = value;
    return {};
  }
  static std::string too_large(const std::string& text, const Limits& limits) {
    if (!text.empty() && text[0] == '-') return fmt::format("{} must not be negative", text);
    const double most = std::min(limits.max, static_cast<double>(std::numeric_limits<T>::max()));
    return fmt::format("{} is too large; at most {}", text, most);
  }
  static std::string write(T value) { return fmt::format("{}", value); }
};
template <>
struct Codec<int> : IntegerCodec<int> {};
template <>
struct Codec<std::int64_t> : IntegerCodec<std::int64_t> {};
template <>
struct Codec<std::uint64_t> : IntegerCodec<std::uint64_t> {};

template <>
struct Codec<bool> {
  static std::string read(const std::string& text, const Limits&, bool& out) {
    if (text != "true" && text != "false") {
      return fmt::format("'{}' is neither true nor false", text);
    }
    out = text == "true";
    return {};
  }
  static std::string write(bool value) { return value ? "true" : "false"; }
};

template <>
struct Codec<std::string> {
  static std::string read(const std::string& text, const Limits&, std::string& out) {
    if (text.empty()) return "empty text";
    out = text;
    return {};
  }
  static std::string write(const std::string& value) { return value; }
};

void report_unknown_keys(Document& document, Node& node, const std::string& path) {
  if (node.checked) return;
  node.checked = true;
  for (const Entry& entry : node.map) {
    const std::string child_path = path.empty() ? entry.key : path + "." + entry.key;
    const auto asked = std::find(node.asked.begin(), node.asked.end(), entry.key);
    if (node.all_asked || asked != node.asked.end()) {
      report_unknown_keys(document, *entry.value, child_path);
      continue;
    }
    // A map nobody looked into at all: the branch was switched off by another key, or the parent
    // was wrong; its own message says so.
    if (node.asked.empty()) continue;
    std::vector<std::string> free;  // keys that the file does not already have
    for (const std::string& key : node.asked) {
      if (node.find(key) == nullptr) free.push_back(key);
    }
    std::string message = fmt::format("unknown key '{}'", entry.key);
    if (!path.empty()) message += fmt::format(" in {}", path);
    const auto other = document.suggestions.find(entry.key);
    if (other != document.suggestions.end() &&
        std::find(free.begin(), free.end(), other->second) != free.end()) {
      message += fmt::format("; here it is called '{}'", other->second);
    } else if (entry.key.find('=') != std::string::npos) {
      message += "; write key: value";
    } else if (const auto near = did_you_mean(entry.key, free)) {
      message += fmt::format("; did you mean '{}'?", *near);
    } else {
      message += fmt::format("; known keys: {}", fmt::join(node.asked, ", "));
    }
    document.note(entry.place, message);
  }
  for (Node* const item : node.list) report_unknown_keys(document, *item, path);
}

}  // namespace

// ---- YamlNode ---------------------------------------------------------------------------------

bool YamlNode::is_scalar() const { return node_ != nullptr && node_->kind == Kind::scalar; }
bool YamlNode::is_list() const { return node_ != nullptr && node_->kind == Kind::list; }
bool YamlNode::is_map() const { return node_ != nullptr && node_->kind == Kind::map; }
std::string YamlNode::text() const { return is_scalar() ? node_->scalar : std::string(); }

std::string YamlNode::origin() const {
  if (node_ == nullptr || node_->place.source == nullptr) return "default";
  const Source& source = *node_->place.source;
  if (source.is_override) return "--set";
  return fmt::format("{}:{}", std::filesystem::path(source.name).filename().string(),
                     node_->place.line);
}

std::string YamlNode::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

void YamlNode::note(const std::string& message, int offset, bool warning) const {
  if (silent_) return;
  Place place{document_->root != nullptr ? document_->root->place.source : nullptr, 0, 0};
  if (node_ != nullptr) {
    place = node_->place;
    if (node_ == document_->root) place = {place.source, 0, 0};  // no line is the culprit
    if (node_->kind == Kind::scalar) place.column += offset + (node_->plain || offset == 0 ? 0 : 1);
  }
  document_->note(place, message, warning);
}

void YamlNode::error(const std::string& message, int offset) const { note(message, offset, false); }
void YamlNode::warning(const std::string& message, int offset) const {
  note(message, offset, true);
}

void YamlNode::error_at_key(std::string_view key, const std::string& message) const {
  if (node_ != nullptr && !silent_) {
    for (const Entry& entry : node_->map) {
      if (entry.key == key) return document_->note(entry.place, message);
    }
  }
  error(message);
}

void YamlNode::resolve(std::string_view key, const std::string& value,
                       std::string_view origin) const {
  document_->resolve({path_of(key), value, std::string(origin)});
}

YamlNode YamlNode::find(std::string_view key) const {
  Node* found = nullptr;
  bool silent = silent_;
  if (node_ != nullptr && node_->kind == Kind::map) {
    if (std::find(node_->asked.begin(), node_->asked.end(), key) == node_->asked.end()) {
      node_->asked.emplace_back(key);
    }
    found = node_->find(key);
  }
  if (found != nullptr && found->kind == Kind::null) {
    YamlNode(document_, found, path_of(key), silent).error(fmt::format("'{}' has no value", key));
    found = nullptr;
    silent = true;
  }
  return {document_, found, path_of(key), silent};
}

YamlNode YamlNode::find_required(std::string_view key) const {
  YamlNode found = find(key);
  if (!found.exists() && !found.silent_) {
    error(path_.empty() ? fmt::format("missing key '{}'", key)
                        : fmt::format("missing key '{}' in {}", key, path_));
    found.silent_ = true;
  }
  return found;
}

bool YamlNode::has(std::string_view key) const { return find(key).exists(); }

YamlNode YamlNode::any_child(std::string_view key) const { return find(key); }

YamlNode YamlNode::child(std::string_view key) const {
  YamlNode found = find(key);
  if (found.exists() && !found.is_map()) {
    found.error(
        fmt::format("'{}' is {}; expected a map of keys", key, kind_words(found.node_->kind)));
    found.node_ = nullptr;
    found.silent_ = true;
  }
  return found;
}

YamlNode YamlNode::required_child(std::string_view key) const {
  const YamlNode found = find_required(key);
  return found.exists() ? child(key) : found;
}

std::vector<std::pair<std::string, YamlNode>> YamlNode::entries() const {
  std::vector<std::pair<std::string, YamlNode>> result;
  if (node_ == nullptr) return result;
  if (node_->kind != Kind::map) {
    error(fmt::format("'{}' is {}; expected a map of keys", path_, kind_words(node_->kind)));
    return result;
  }
  node_->all_asked = true;
  for (const Entry& entry : node_->map) result.emplace_back(entry.key, find(entry.key));
  return result;
}

std::vector<YamlNode> YamlNode::items() const {
  std::vector<YamlNode> result;
  if (node_ == nullptr) return result;
  if (node_->kind != Kind::list) {
    error(
        fmt::format("'{}' is {}; expected a list such as [a, b]", path_, kind_words(node_->kind)));
    return result;
  }
  for (std::size_t i = 0; i < node_->list.size(); ++i) {
    result.push_back(YamlNode(document_, node_->list[i], fmt::format("{}.{}", path_, i), silent_));
  }
  return result;
}

template <class T>
std::optional<T> YamlNode::read(Limits limits) const {
  if (node_ == nullptr) return std::nullopt;
  if (node_->kind != Kind::scalar) {
    error(fmt::format("'{}' is {}; expected a single value", path_, kind_words(node_->kind)));
    return std::nullopt;
  }
  T value{};
  const std::string problem = Codec<T>::read(node_->scalar, limits, value);
  if (!problem.empty()) {
    error(fmt::format("{}: {}", path_, problem));
    return std::nullopt;
  }
  document_->resolve({path_, node_->scalar, origin()});
  return value;
}

template <class T>
T YamlNode::as(Limits limits) const {
  return read<T>(limits).value_or(T{});
}

template <class T>
T YamlNode::required(std::string_view key, Limits limits) const {
  return find_required(key).as<T>(limits);
}

template <class T>
std::optional<T> YamlNode::optional(std::string_view key, Limits limits) const {
  return find(key).read<T>(limits);
}

template <class T>
T YamlNode::value_or(std::string_view key, const T& fallback, Limits limits,
                     std::string_view origin) const {
  const YamlNode found = find(key);
  if (found.exists()) return found.read<T>(limits).value_or(fallback);
  resolve(key, Codec<T>::write(fallback), origin);
  return fallback;
}

std::optional<std::size_t> YamlNode::choose(std::string_view key,
                                            const std::vector<std::string>& words,
                                            bool must_exist) const {
  const YamlNode found = must_exist ? find_required(key) : find(key);
  if (!found.exists()) return std::nullopt;
  const std::string word = found.as<std::string>();
  if (word.empty()) return std::nullopt;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == word) return i;
  }
  const auto near = did_you_mean(word, words);
  found.error(fmt::format("{}: '{}' is not one of {}{}", found.path_, word, fmt::join(words, ", "),
                          near ? fmt::format("; did you mean '{}'?", *near) : ""));
  return std::nullopt;
}

#define FORETOKEN_READS(T)                                                         \
  template T YamlNode::as<T>(Limits) const;                                        \
  template T YamlNode::required<T>(std::string_view, Limits) const;                \
  template std::optional<T> YamlNode::optional<T>(std::string_view, Limits) const; \
  template T YamlNode::value_or<T>(std::string_view, const T&, Limits, std::string_view) const
FORETOKEN_READS(sim::core::Bytes);
FORETOKEN_READS(sim::core::BytesPerSecond);
FORETOKEN_READS(sim::core::FlopsPerSecond);
FORETOKEN_READS(sim::core::Watts);
FORETOKEN_READS(sim::core::Hertz);
FORETOKEN_READS(sim::core::Duration);
FORETOKEN_READS(Seconds);
FORETOKEN_READS(Ratio);
FORETOKEN_READS(Money);
FORETOKEN_READS(MoneyPerKwh);
FORETOKEN_READS(MoneyPerGpuHour);
FORETOKEN_READS(int);
FORETOKEN_READS(std::int64_t);
FORETOKEN_READS(std::uint64_t);
FORETOKEN_READS(bool);
FORETOKEN_READS(std::string);
#undef FORETOKEN_READS

// ---- YamlFile ---------------------------------------------------------------------------------

YamlFile::YamlFile(std::unique_ptr<Document> document) : document_(std::move(document)) {}
YamlFile::~YamlFile() = default;
YamlFile::YamlFile(YamlFile&&) noexcept = default;
YamlFile& YamlFile::operator=(YamlFile&&) noexcept = default;

YamlFile YamlFile::open(const std::filesystem::path& file) {
  const auto fail = [&file](const std::string& message) -> InputError {
    return InputError({Diagnostic{file.string(), 0, 0, message, {}, false}});
  };
  std::error_code code;
  const auto status = std::filesystem::status(file, code);
  if (!std::filesystem::exists(status)) throw fail("no such file");
  if (std::filesystem::is_directory(status)) throw fail("is a folder, not a file");
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw fail(fmt::format("cannot be read: {}", std::strerror(errno)));
  std::string text(detail::kMaxBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) throw fail("cannot be read");
  text.resize(static_cast<std::size_t>(stream.gcount()));
  return parse(text, file.string());
}

YamlFile YamlFile::parse(const std::string& text, const std::string& name) {
  auto document = std::make_unique<Document>();
  document->name = name;
  document->text = text;
  const auto fail = [&name](const std::string& message) -> InputError {
    return InputError({Diagnostic{name, 0, 0, message, {}, false}});
  };
  if (text.size() > detail::kMaxBytes) {
    throw fail(fmt::format("too large; at most {} bytes", detail::kMaxBytes));
  }
  if (text.find('\0') != std::string::npos) throw fail("not a text file");
  Source& source = document->sources.emplace_back();
  source.name = name;
  source.lines = detail::split_lines(text);
  document->root = detail::parse_into(*document, source, text);
  if (document->root == nullptr || document->root->kind == Kind::null) throw fail("is empty");
  if (document->root->kind != Kind::map) {
    document->note(document->root->place, fmt::format("{} at the top; expected 'key: value' lines",
                                                      kind_words(document->root->kind)));
    throw InputError(document->diagnostics);
  }
  return YamlFile(std::move(document));
}

YamlNode YamlFile::root() const { return {document_.get(), document_->root, {}, false}; }
const std::string& YamlFile::name() const { return document_->name; }
const std::string& YamlFile::text() const { return document_->text; }

void YamlFile::suggest(const std::string& theirs, const std::string& ours) {
  document_->suggestions[theirs] = ours;
}

void YamlFile::override_value(const std::string& assignment) {
  Source& source = document_->sources.emplace_back();
  source.name = "--set";
  source.lines = {assignment};
  source.is_override = true;
  const std::size_t equals = assignment.find('=');
  const Place whole{&source, 1, 1};
  if (equals == 0 || equals == std::string::npos || equals + 1 == assignment.size()) {
    return document_->note(whole, "write --set path.to.key=value");
  }
  Node* const value = detail::parse_into(*document_, source, assignment.substr(equals + 1),
                                         static_cast<int>(equals) + 1);
  if (value == nullptr) return document_->note(whole, "write --set path.to.key=value");
  Node* node = document_->root;
  std::size_t start = 0;
  while (true) {
    const std::size_t stop = std::min(assignment.find('.', start), equals);
    const std::string key = assignment.substr(start, stop - start);
    const Place place{&source, 1, static_cast<int>(start) + 1};
    const bool last = stop == equals;
    if (key.empty()) return document_->note(place, "empty name in the path");
    Node** slot = nullptr;
    if (node->kind == Kind::list) {
      std::size_t index = 0;
      const auto read = std::from_chars(key.data(), key.data() + key.size(), index);
      if (read.ec != std::errc{} || read.ptr != key.data() + key.size() ||
          index >= node->list.size()) {
        return document_->note(
            place, fmt::format("'{}' is no index of a list of {}", key, node->list.size()));
      }
      slot = &node->list[index];
    } else if (node->kind == Kind::map) {
      auto entry = std::find_if(node->map.begin(), node->map.end(),
                                [&key](const Entry& e) { return e.key == key; });
      if (entry == node->map.end()) {
        Node& fresh = document_->nodes.emplace_back();
        fresh.kind = Kind::map;
        fresh.place = place;
        entry = node->map.insert(entry, {key, place, &fresh});
      }
      if (last) entry->place = place;
      slot = &entry->value;
    } else {
      return document_->note(place, fmt::format("'{}' is inside a single value, not a map", key));
    }
    if (last) {
      *slot = value;
      return;
    }
    node = *slot;
    start = stop + 1;
  }
}

void YamlFile::absorb(const std::vector<Diagnostic>& diagnostics) {
  document_->diagnostics.insert(document_->diagnostics.end(), diagnostics.begin(),
                                diagnostics.end());
}

void YamlFile::check_keys() { report_unknown_keys(*document_, *document_->root, {}); }

void YamlFile::finish() {
  check_keys();
  // In the order of the file, its own problems before those of other files.
  const auto rank = [this](const Diagnostic& d) { return d.file == document_->name ? 0 : 1; };
  std::stable_sort(document_->diagnostics.begin(), document_->diagnostics.end(),
                   [&rank](const Diagnostic& a, const Diagnostic& b) {
                     return std::tuple(rank(a), a.file, a.line, a.column) <
                            std::tuple(rank(b), b.file, b.line, b.column);
                   });
  if (!ok()) throw InputError(document_->diagnostics);
}

bool YamlFile::ok() const {
  return std::all_of(document_->diagnostics.begin(), document_->diagnostics.end(),
                     [](const Diagnostic& d) { return d.warning; });
}

std::vector<Diagnostic> YamlFile::warnings() const {
  std::vector<Diagnostic> result;
  for (const Diagnostic& d : document_->diagnostics) {
    if (d.warning) result.push_back(d);
  }
  return result;
}

const std::vector<ResolvedValue>& YamlFile::resolved() const { return document_->resolved; }

}  // namespace foretoken::scenarios::loader
