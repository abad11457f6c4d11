#include "analysis/published.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "analysis/summary.hpp"

namespace foretoken::analysis {
namespace {

using Json = nlohmann::ordered_json;

const Json* item_of(const Json& list, const std::string& name) {
  std::size_t index = 0;
  const char* const end = name.data() + name.size();
  const auto [stop, status] = std::from_chars(name.data(), end, index);
  if (status == std::errc{} && stop == end) return index < list.size() ? &list[index] : nullptr;
  for (const Json& item : list)
    if (item.is_object() && item.contains("role") && item["role"] == name) return &item;
  return nullptr;
}

}  // namespace

std::optional<double> figure_at(const Json& summary, const std::string& place) {
  const Json* at = &summary;
  for (std::size_t from = 0; from <= place.size();) {
    const std::size_t dot = std::min(place.find('.', from), place.size());
    const std::string name = place.substr(from, dot - from);
    from = dot + 1;
    if (at->is_array())
      at = item_of(*at, name);
    else
      at = at->is_object() && at->contains(name) ? &(*at)[name] : nullptr;
    if (at == nullptr) return std::nullopt;
  }
  if (!at->is_number()) return std::nullopt;
  return at->get<double>();
}

std::optional<double> figure_of_summary(const std::string& summary, const std::string& place) {
  return figure_at(Json::parse(summary), place);
}

Json published_json(const scenarios::loader::Published& published, const Json& summary) {
  Json figures = Json::array();
  for (const auto& f : published.figures) {
    const auto found = figure_at(summary, f.figure);
    const bool both = found && f.value != 0.0;
    figures.push_back(
        {{"figure", f.figure},
         {"quantity", f.quantity},
         {"published", f.value},
         {"predicted", found ? Json(*found) : Json(nullptr)},
         {"off_percent", both ? Json(100.0 * (*found / f.value - 1.0)) : Json(nullptr)}});
  }
  return {{"source", published.source}, {"date", published.date}, {"figures", std::move(figures)}};
}

}  // namespace foretoken::analysis
