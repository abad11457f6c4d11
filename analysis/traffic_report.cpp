// report.html of a traffic scenario: tables and the heat map of the links, no script.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/html_text.hpp"
#include "analysis/report/assets.hpp"
#include "analysis/run_documents.hpp"
#include "analysis/traffic_results.hpp"

namespace foretoken::analysis {
namespace {

constexpr std::size_t kRows = 40;
constexpr std::size_t kColumns = 100;

std::string heading(const std::string& english, const std::string& chinese) {
  return fmt::format("<h2>{} <span lang=\"zh\">{}</span></h2>\n", english, chinese);
}

std::string row(const std::vector<std::string>& cells, const char* tag) {
  std::string out = "<tr>";
  for (const std::string& cell : cells) out += fmt::format("<{0}>{1}</{0}>", tag, html_text(cell));
  return out + "</tr>\n";
}

std::string streams_table(const TrafficResult& result) {
  std::string out = "<table><thead>";
  out += row({"Traffic 流量", "Algorithm 算法", "Repeats 次数", "Alone 独占", "Mean 平均",
              "Slowest 最慢", "Slower 变慢", "busbw"},
             "th");
  out += "</thead><tbody>";
  for (const auto& s : result.streams) {
    const double mean = s.mean_s();
    const double most =
        s.seconds.empty() ? 0.0 : *std::max_element(s.seconds.begin(), s.seconds.end());
    out += row({s.name, s.algorithm, std::to_string(s.seconds.size()),
                fmt::format("{:.3f} ms", s.alone_s * 1e3), fmt::format("{:.3f} ms", mean * 1e3),
                fmt::format("{:.3f} ms", most * 1e3),
                fmt::format("{:.2f}x", s.alone_s > 0 ? mean / s.alone_s : 1.0),
                fmt::format("{:.1f} GB/s", mean > 0 ? s.bytes * s.bus_factor / mean * 1e-9 : 0.0)},
               "td");
  }
  return out + "</tbody></table>\n";
}

// White to dark red; colour-blind safe, since lightness alone tells.
std::string colour(double use) {
  const double x = std::clamp(use, 0.0, 1.0);
  const auto channel = [x](double low, double high) {
    return static_cast<int>(std::lround(low + (high - low) * x));
  };
  return fmt::format("#{:02x}{:02x}{:02x}", channel(247, 103), channel(247, 0), channel(247, 31));
}

std::string heat_map(const TrafficResult& result, const std::vector<LinkLoad>& loads) {
  const std::size_t rows = std::min(kRows, loads.size());
  const auto bins = static_cast<std::size_t>(std::ceil(result.end_s / result.bin_s));
  if (rows == 0 || bins == 0) return "<p>No link carried anything. 没有链路传输数据。</p>\n";
  const std::size_t group = (bins + kColumns - 1) / kColumns;
  const std::size_t columns = (bins + group - 1) / group;
  constexpr int kLabel = 330, kCell = 8, kHeight = 14;
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" role=\"img\" "
      "aria-label=\"utilisation of links over time\" font-family=\"sans-serif\" "
      "font-size=\"11\">\n",
      kLabel + static_cast<int>(columns) * kCell, (static_cast<int>(rows) + 2) * kHeight);
  for (std::size_t r = 0; r < rows; ++r) {
    const LinkLoad& load = loads[r];
    const auto& bytes = result.links[load.index].bytes;
    const int y = static_cast<int>(r) * kHeight;
    out +=
        fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"currentColor\">{}</text>",
                    kLabel - 6, y + 11, html_text(load.from + " → " + load.to));
    for (std::size_t c = 0; c < columns; ++c) {
      double sum = 0.0;
      for (std::size_t b = c * group; b < std::min(bytes.size(), (c + 1) * group); ++b)
        sum += bytes[b];
      const double use = sum / (load.bytes_per_s * result.bin_s * static_cast<double>(group));
      out += fmt::format(
          "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"><title>{}: "
          "{:.0f} %</title></rect>",
          kLabel + static_cast<int>(c) * kCell, y, kCell, kHeight - 1, colour(use),
          fmt::format("{:.3f} ms", static_cast<double>(c * group) * result.bin_s * 1e3), 100 * use);
    }
    out += "\n";
  }
  out += fmt::format(
      "<text x=\"{}\" y=\"{}\" fill=\"currentColor\">0 ms</text><text x=\"{}\" y=\"{}\" "
      "text-anchor=\"end\" fill=\"currentColor\">{:.3f} ms</text></svg>\n",
      kLabel, (static_cast<int>(rows) + 1) * kHeight, kLabel + static_cast<int>(columns) * kCell,
      (static_cast<int>(rows) + 1) * kHeight, result.end_s * 1e3);
  return out;
}

std::string waits_table(const TrafficScenario& scenario, const TrafficResult& result) {
  std::string out = "<table><thead>";
  out += row({"Who waited 谁在等", "On whom 等谁", "Time lost 损失时间", "Most on 主要链路"}, "th");
  out += "</thead><tbody>";
  const auto& topology = scenario.traffic.fabric.topology;
  for (const StreamWait& wait : stream_waits(result)) {
    const auto& link = topology.link(wait.worst);
    out += row({result.streams[wait.who].name, result.streams[wait.whom].name,
                fmt::format("{:.3f} ms", wait.seconds * 1e3),
                topology.node(link.from).name + " → " + topology.node(link.to).name},
               "td");
  }
  return out + "</tbody></table>\n";
}

}  // namespace

std::string traffic_html(const TrafficScenario& scenario, const TrafficResult& result,
                         const RunInfo& info) {
  const ReportAssets assets = report_assets();
  const auto loads = link_loads(scenario, result);
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; base-uri "
      "'none'; form-action 'none'; style-src {}\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{} - Foretoken</title>\n<style>{}</style>\n</head>\n<body>\n<header><div "
      "class=\"brand\"><p class=\"product\">Foretoken</p><h1>{}</h1></div></header>\n<main>\n",
      assets.style_hash, html_text(scenario.name), assets.style, html_text(scenario.name));
  out += heading("Traffic", "流量");
  out += streams_table(result);
  out += heading("Link utilisation over time", "链路利用率随时间的变化");
  out += fmt::format(
      "<p>{} of {} links that carried anything: the ones where transfers lost most time first. "
      "White is idle, dark red is full. <span lang=\"zh\">共 {} 条链路有流量，图中为等待最多的 {} "
      "条：白色为空闲，深红为占满。</span></p>\n",
      std::min(kRows, loads.size()), loads.size(), loads.size(), std::min(kRows, loads.size()));
  out += heat_map(result, loads);
  out += heading("Who waited on whom", "谁在等谁");
  out +=
      "<p>Transfer time lost against an idle fabric, by the traffic that took the link. "
      "<span lang=\"zh\">与空闲网络相比损失的传输时间，按占用链路的流量划分。</span></p>\n";
  out += waits_table(scenario, result);
  out += heading("Reproduce", "复现");
  out += fmt::format(
      "<pre>{}</pre>\n</main>\n<footer><p class=\"quiet\">foretoken {}, "
      "{}</p></footer>\n</body>\n</html>\n",
      html_text(info.replay_command), html_text(info.version), html_text(build_description()));
  return out;
}

}  // namespace foretoken::analysis
