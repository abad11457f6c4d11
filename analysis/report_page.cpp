// The page around a report's data.
#include <fstream>
#include <map>
#include <sstream>

#include "analysis/html_text.hpp"
#include "analysis/report.hpp"
#include "analysis/report/assets.hpp"
#include "sim/core/error.hpp"

namespace foretoken::analysis {
namespace {

constexpr std::string_view kDataOpen = "<script type=\"application/json\" id=\"data\">";
constexpr std::string_view kDataClose = "</script>";

// Safe inside <script>: no character that could end the element or start a comment.
std::string script_safe(const std::string& json) {
  std::string out;
  out.reserve(json.size() + json.size() / 16);
  for (const char c : json) {
    if (c == '<')
      out += "\\u003c";
    else if (c == '>')
      out += "\\u003e";
    else if (c == '&')
      out += "\\u0026";
    else
      out += c;
  }
  return out;
}

// One pass over @NAME@ marks, so that a value with such a mark in it stays what it is.
std::string filled(std::string_view page,
                   const std::map<std::string_view, std::string_view>& values) {
  std::string out;
  std::size_t at = 0;
  while (at < page.size()) {
    const std::size_t open = page.find('@', at);
    const std::size_t close = open == page.npos ? page.npos : page.find('@', open + 1);
    const auto value =
        close == page.npos ? values.end() : values.find(page.substr(open + 1, close - open - 1));
    if (value == values.end()) {
      const std::size_t next = open == page.npos ? page.size() : open + 1;
      out += page.substr(at, next - at);
      at = next;
      continue;
    }
    out += page.substr(at, open - at);
    out += value->second;
    at = close + 1;
  }
  return out;
}

}  // namespace

std::string report_page(const std::string& data, const std::string& title,
                        const std::string& answer) {
  const ReportAssets assets = report_assets();
  const std::string json = script_safe(data);
  const std::string plain = html_text(answer);
  const std::string heading = html_text(title) + " - Foretoken";
  return filled(assets.page, {{"TITLE", heading},
                              {"STYLE", assets.style},
                              {"STYLE_HASH", assets.style_hash},
                              {"CHART", assets.chart},
                              {"CHART_HASH", assets.chart_hash},
                              {"SCRIPT", assets.script},
                              {"SCRIPT_HASH", assets.script_hash},
                              {"DATA", json},
                              {"ANSWER", plain}});
}

std::string data_of_report(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  const std::string page = text.str();
  const std::size_t open = page.find(kDataOpen);
  const std::size_t begin = open + kDataOpen.size();
  // The data holds no '<' (see script_safe), so the first one ends it.
  const std::size_t close = open == page.npos ? page.npos : page.find('<', begin);
  if (close == page.npos || page.compare(close, kDataClose.size(), kDataClose) != 0)
    throw sim::core::InputError(file.string() +
                                ": carries no data of a serving run; run the scenario again");
  return page.substr(begin, close - begin);
}

}  // namespace foretoken::analysis
