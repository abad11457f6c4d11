#include "scenarios/loader/json_object.hpp"

#include <algorithm>
#include <cmath>

namespace foretoken::scenarios::loader {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxText = 4u << 20;  // a card is a few KiB; anything larger is another file

std::string short_dump(const json& value) {
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (text.size() > 40) text = text.substr(0, 37) + "...";
  return text;
}

// nlohmann's text begins with an exception id and a place that the diagnostic already has.
std::string plain_reason(const std::string& what) {
  const auto column = what.find("column ");
  const auto colon = column == std::string::npos ? column : what.find(": ", column);
  return colon == std::string::npos ? what : what.substr(colon + 2);
}

}  // namespace

JsonObject::JsonObject(std::string_view text, std::string_view file_name)
    : text_(text), file_(file_name) {
  if (text_.substr(0, 3) == "\xEF\xBB\xBF") text_.remove_prefix(3);
  if (text_.size() > kMaxText)
    throw sim::core::InputError({at(0, "the file has " + std::to_string(text_.size()) +
                                           " bytes; a model's config.json has a few thousand")});
  if (text_.find_first_not_of(" \t\r\n") == std::string_view::npos)
    throw sim::core::InputError({at(0, "the file is empty; expected a JSON object")});
  // The parser takes a zero byte for the end of the text.
  if (const auto zero = text_.find('\0'); zero != std::string_view::npos)
    throw sim::core::InputError({at(zero, "not valid JSON: a zero byte; expected text")});
  try {
    root_ = json::parse(text_.begin(), text_.end());
  } catch (const json::parse_error& e) {
    const std::size_t offset = std::min(text_.size(), e.byte > 0 ? e.byte - 1 : 0);
    throw sim::core::InputError({at(offset, "not valid JSON: " + plain_reason(e.what()))});
  } catch (const json::exception& e) {  // a number beyond double
    throw sim::core::InputError({at(0, std::string("not valid JSON: ") + e.what())});
  }
  if (!root_.is_object())
    throw sim::core::InputError(
        {at(0, std::string("expected a JSON object, found ") + root_.type_name())});
  locate_keys();
  throw_if_problems();
}

// The text is valid here, so a scan that knows strings and depth suffices.
void JsonObject::locate_keys() {
  int depth = 0;
  bool expect_key = false;
  for (std::size_t i = 0; i < text_.size(); ++i) {
    const char c = text_[i];
    if (c == '{' || c == '[') {
      ++depth;
      expect_key = depth == 1;
    } else if (c == '}' || c == ']') {
      --depth;
    } else if (c == ',') {
      expect_key = depth == 1;
    } else if (c == '"') {
      const std::size_t start = i++;
      while (text_[i] != '"') i += text_[i] == '\\' ? 2 : 1;
      if (!expect_key) continue;
      expect_key = false;
      const std::string key = json::parse(text_.substr(start, i + 1 - start)).get<std::string>();
      if (!offsets_.emplace(key, start).second)
        problems_.push_back(at(start, "key '" + key + "' appears twice; keep one"));
    }
  }
}

sim::core::Diagnostic JsonObject::at(std::size_t offset, std::string message) const {
  const std::string_view before = text_.substr(0, offset);
  const auto line_start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  const auto line_end = std::min(text_.find('\n', offset), text_.size());
  sim::core::Diagnostic out;
  out.file = file_;
  out.line = 1 + static_cast<int>(std::count(before.begin(), before.end(), '\n'));
  out.column = 1 + static_cast<int>(offset - line_start);
  out.message = std::move(message);
  out.source_line = text_.substr(line_start, std::min<std::size_t>(line_end - line_start, 160));
  return out;
}

bool JsonObject::has(const std::string& key) const {
  const auto it = root_.find(key);
  return it != root_.end() && !it->is_null();
}

const json* JsonObject::find(const std::string& key) {
  use(key);
  const auto it = root_.find(key);
  return it == root_.end() || it->is_null() ? nullptr : &*it;
}

int JsonObject::integer(const std::string& key, int low, int high) {
  const json* value = find(key);
  if (value == nullptr) {
    error(key, "'" + key + "' is missing; this architecture needs it");
    return low;
  }
  bool fits = value->is_number();
  double number = 0;
  if (fits) {
    number = value->get<double>();
    fits = std::isfinite(number) && number == std::floor(number) && number >= low && number <= high;
  }
  if (fits) return static_cast<int>(number);
  error(key, "'" + key + "' is " + short_dump(*value) + "; expected a whole number from " +
                 std::to_string(low) + " to " + std::to_string(high));
  return low;
}

int JsonObject::integer_or(const std::string& key, int low, int high, int fallback) {
  return find(key) == nullptr ? fallback : integer(key, low, high);
}

bool JsonObject::boolean_or(const std::string& key, bool fallback) {
  const json* value = find(key);
  if (value == nullptr) return fallback;
  if (value->is_boolean()) return value->get<bool>();
  error(key, "'" + key + "' is " + short_dump(*value) + "; expected true or false");
  return fallback;
}

std::string JsonObject::string_or(const std::string& key, std::string fallback) {
  const json* value = find(key);
  if (value == nullptr) return fallback;
  if (value->is_string()) return value->get<std::string>();
  error(key, "'" + key + "' is " + short_dump(*value) + "; expected a text");
  return fallback;
}

void JsonObject::error(const std::string& key, std::string message) {
  const auto it = offsets_.find(key);
  problems_.push_back(at(it == offsets_.end() ? 0 : it->second, std::move(message)));
}

void JsonObject::conflict(const std::string& key, std::string message) {
  if (problems_.empty()) error(key, std::move(message));
}

std::vector<std::string> JsonObject::unused() const {
  std::vector<std::string> out;
  for (const auto& key : keys())
    if (!used_.contains(key) && (key.empty() || key[0] != '_')) out.push_back(key);
  return out;
}

std::vector<std::string> JsonObject::keys() const {
  std::vector<std::string> out;
  for (const auto& [key, offset] : offsets_) out.push_back(key);
  return out;
}

void JsonObject::throw_if_problems() const {
  if (!problems_.empty()) throw sim::core::InputError(problems_);
}

}  // namespace foretoken::scenarios::loader
