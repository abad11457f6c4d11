// report.html of a training run: one file, no network, figures as SVG.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/html_text.hpp"
#include "analysis/training_store.hpp"

namespace foretoken::analysis {
namespace {

namespace training = models::training;

constexpr const char* kColours[] = {"#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951",
                                    "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0", "#c9a0dc",
                                    "#e0777d", "#7ca982", "#5b8e7d", "#bc4b51", "#8cb369",
                                    "#f4a259", "#5e60ce", "#adb5bd"};

struct Bar {
  std::string name;
  double value = 0;
};

// One bar a line, lengths to scale.
std::string bars(const std::vector<Bar>& items, const std::string& unit, double whole) {
  constexpr double kWidth = 520, kLine = 22, kText = 260;
  std::string svg =
      fmt::format(R"(<svg viewBox="0 0 {:.0f} {:.0f}" role="img">)", kText + kWidth + 120,
                  kLine * static_cast<double>(items.size()) + 6);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const double y = kLine * static_cast<double>(i) + 4;
    const double width = whole > 0 ? kWidth * items[i].value / whole : 0;
    svg += fmt::format(
        R"(<text x="{:.0f}" y="{:.1f}" text-anchor="end">{}</text><rect x="{:.0f}" y="{:.1f}" width="{:.1f}" height="15" fill="{}"/><text x="{:.1f}" y="{:.1f}">{:.2f} {}</text>)",
        kText - 8, y + 12, html_text(items[i].name), kText, y, std::max(0.5, width),
        kColours[i % std::size(kColours)], kText + width + 6, y + 12, items[i].value, unit);
  }
  return svg + "</svg>\n";
}

std::string timeline(const TrainingPrediction& p) {
  if (p.pipeline.spans.empty()) return "<p>No timeline was kept.</p>";
  constexpr double kWidth = 1100, kRow = 18;
  constexpr std::size_t kMost = 12000;  // spans drawn; the rest is in run.h5 and in the export
  const double end = p.pipeline.end.seconds();
  const auto devices = static_cast<double>(p.spec.layout.pipeline);
  std::string svg = fmt::format(R"(<svg viewBox="0 0 {:.0f} {:.0f}" role="img">)", kWidth + 60,
                                devices * kRow + 24);
  for (int d = 0; d < p.spec.layout.pipeline; ++d)
    svg += fmt::format(R"(<text x="50" y="{:.0f}" text-anchor="end">rank {}</text>)", d * kRow + 13,
                       d);
  static constexpr const char* kFill[] = {"#4269d0", "#ff725c", "#efb118", "#3ca951", "#a463f2"};
  std::size_t drawn = 0;
  for (const auto& s : p.pipeline.spans) {
    if (s.message || ++drawn > kMost) continue;
    const double x = 56 + kWidth * s.start.seconds() / end;
    const double width = kWidth * (s.end - s.start).seconds() / end;
    svg += fmt::format(
        R"(<rect x="{:.2f}" y="{:.0f}" width="{:.2f}" height="14" fill="{}"><title>micro-batch {}, position {}: {:.2f} ms</title></rect>)",
        x, s.device * kRow + 2, std::max(0.1, width * 0.97),
        kFill[static_cast<std::size_t>(s.task.work)], s.task.micro_batch, s.task.position,
        (s.end - s.start).seconds() * 1e3);
  }
  svg += fmt::format(
      R"(<text x="56" y="{0:.0f}">0</text><text x="{1:.0f}" y="{0:.0f}" text-anchor="end">{2:.3f} s</text></svg>)",
      devices * kRow + 18, kWidth + 56, end);
  svg +=
      R"(<p class="key"><i style="background:#4269d0"></i>forward <i style="background:#ff725c"></i>backward <i style="background:#efb118"></i>input gradient <i style="background:#3ca951"></i>weight gradient <i style="background:#a463f2"></i>forward and backward overlapped</p>)";
  return svg;
}

std::vector<Bar> waterfall(const training::StepTime& step) {
  std::vector<Bar> out;
  const auto& w = step.waterfall;
  for (std::size_t i = 0; i < training::kParts; ++i)
    out.push_back({std::string(to_string(static_cast<training::Part>(i))), w.parts[i] * 1e3});
  out.push_back({"stage-to-stage messages", w.send_s * 1e3});
  out.push_back({"pipeline bubble", w.bubble_s * 1e3});
  out.push_back({"gradient reduction, exposed", w.gradients_s * 1e3});
  out.push_back({"parameter gather, exposed", w.parameters_s * 1e3});
  out.push_back({"optimizer", w.optimizer_s * 1e3});
  out.push_back({"stragglers", w.straggler_s * 1e3});
  out.push_back({"host", w.host_s * 1e3});
  out.erase(std::remove_if(out.begin(), out.end(),
                           [&](const Bar& b) { return b.value < 1e-2 * step.seconds; }),
            out.end());
  return out;
}

}  // namespace

std::string training_report_html(const scenarios::loader::TrainingScenario& scenario,
                                 const TrainingPrediction& p) {
  constexpr double kGb = 1e-9;
  const auto& m = p.memory;
  const std::vector<Bar> memory = {{"parameters", m.parameters * kGb},
                                   {"gradients", m.gradients * kGb},
                                   {"optimizer", m.optimizer * kGb},
                                   {"activations in flight", m.activations * kGb},
                                   {"working set", m.working * kGb},
                                   {"reserve", m.reserve * kGb},
                                   {"free", std::max(0.0, m.capacity - m.total()) * kGb}};
  const auto steps = waterfall(p.step);
  double longest = 0;
  for (const Bar& b : steps) longest = std::max(longest, b.value);
  std::string html =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n";
  html += fmt::format("<title>{}</title>\n", html_text(scenario.name));
  html +=
      "<style>:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:2rem "
      "auto;max-width:1200px;padding:0 1rem}svg{width:100%;height:auto;font-size:12px}text{fill:"
      "currentColor}pre{white-space:pre-wrap;font-size:13px}.key i{display:inline-block;width:1em;"
      "height:1em;margin:0 .3em 0 1em}</style></head><body>\n";
  html += fmt::format("<h1>{}</h1>\n<pre>{}</pre>\n", html_text(scenario.name),
                      html_text(training_text(scenario, p)));
  html += "<h2>Memory of the fullest GPU</h2>\n" + bars(memory, "GB", m.capacity * kGb);
  html += "<h2>Where a step goes</h2>\n" + bars(steps, "ms", longest);
  html += "<h2>Pipeline of one step</h2>\n" + timeline(p);
  if (p.spec.software.error.contains("step_time"))
    html += fmt::format(
        "<p>Constants of {}, fitted on measured jobs; mean error of its step times with their "
        "group "
        "left out {:.1f} %. Kernel times from measured tables and a physical model.</p>\n",
        html_text(p.spec.software.name), 100 * p.relative_error);
  return html + "</body></html>\n";
}

}  // namespace foretoken::analysis
