#include "analysis/terminal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/number_text.hpp"

namespace foretoken::analysis {
namespace {

constexpr std::size_t kColumns = 100;
constexpr std::size_t kLabelWidth = 16;
constexpr std::size_t kTrustColumn = 77;  // where provenance starts

const char* kGreen = "\033[32m";
const char* kRed = "\033[31m";
const char* kYellow = "\033[33m";
const char* kDim = "\033[2m";

std::string painted(const std::string& text, const char* colour, bool on) {
  return on ? colour + text + "\033[0m" : text;
}

// Errors need no tenths above ten per cent.
std::string error_text(double share) {
  return share >= 0.1 ? fmt::format("{:.0f} %", share * 100.0) : percent_text(share);
}

std::string trust_text(const Figure& figure) {
  std::string out(sim::core::to_string(figure.provenance));
  if (!figure.relative_error) return out + ", unvalidated";
  return out + " +-" + error_text(*figure.relative_error);
}

// Control characters of a name would act on the terminal.
std::string printable(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text;
}

class Answer {
 public:
  explicit Answer(bool color) : color_(color) {}

  void line(const std::string& text) { out_ += text + "\n"; }
  void blank() { out_ += "\n"; }

  // Label, value, provenance; a value too long for its column pushes provenance to its own line.
  void row(const std::string& label, const std::string& value, const Figure* trust = nullptr) {
    std::string text = fmt::format("  {:<{}}{}", label, kLabelWidth, value);
    if (trust == nullptr) return line(text);
    if (text.size() + 2 > kTrustColumn) {
      line(text);
      text.clear();
    }
    text.resize(kTrustColumn, ' ');
    line(text + painted(trust_text(*trust), kDim, color_));
  }

  // Words wrapped at the right edge, later lines under the first word of the value.
  void wrapped(const std::string& label, const std::string& value) {
    std::string text = fmt::format("  {:<{}}", label, kLabelWidth);
    const std::string indent(text.size(), ' ');
    for (std::size_t begin = 0; begin < value.size();) {
      const std::size_t end = std::min(value.find(' ', begin), value.size());
      const std::string word = value.substr(begin, end - begin);
      if (text.size() + word.size() > kColumns && text.size() > indent.size()) {
        line(text.substr(0, text.find_last_not_of(' ') + 1));
        text = indent;
      }
      text += word + " ";
      begin = end + 1;
    }
    line(text.substr(0, text.find_last_not_of(' ') + 1));
  }

  [[nodiscard]] bool color() const { return color_; }
  std::string take() { return std::move(out_); }

 private:
  bool color_;
  std::string out_;
};

std::string layout_text(const models::llm::Layout& l) {
  std::string out = fmt::format("TP{}", l.tensor);
  if (l.pipeline > 1) out += fmt::format(" PP{}", l.pipeline);
  if (l.data_attention > 1) out += fmt::format(" DP{}", l.data_attention);
  if (l.context > 1) out += fmt::format(" CP{}", l.context);
  if (l.expert > 1) out += fmt::format(" EP{}", l.expert);
  if (l.experts_on_host) out += ", experts on the CPUs";
  return out;
}

void put_head(Answer& out, const Scenario& scenario, const ServingResult& result,
              const Metrics& m) {
  out.wrapped("deployment", printable(deployment_text(scenario, m)));
  std::string traffic =
      fmt::format("{} arrived, {} completed", grouped(static_cast<std::int64_t>(m.arrived)),
                  grouped(static_cast<std::int64_t>(m.completed)));
  if (m.rejected > 0)
    traffic += fmt::format(", {} rejected", grouped(static_cast<std::int64_t>(m.rejected)));
  if (m.unfinished > 0)
    traffic += fmt::format(", {} unfinished", grouped(static_cast<std::int64_t>(m.unfinished)));
  traffic += fmt::format(" in {} s", significant(m.window_s, 4));
  if (m.peak_concurrency > 0)  // not known of requests that are forgotten
    traffic += fmt::format(", at most {} at once", grouped(m.peak_concurrency));
  if (result.preemptions > 0)
    traffic += fmt::format(", {} preemptions", grouped(result.preemptions));
  out.wrapped("traffic", printable(scenario.serving.workload.name) + ": " + traffic);
}

void put_latency(Answer& out, const char* label, const Distribution& d, const Figure& trust) {
  out.row(label,
          fmt::format("{:>12}{:>12}{:>12}{:>12}", time_text(d.p50), time_text(d.p90),
                      time_text(d.p99), time_text(d.mean)),
          &trust);
}

std::string per_gpu_text(const PerGpu& p) {
  return fmt::format("{} per GPU ({} tokens / {} GPU-s)", significant(p.value),
                     grouped(static_cast<std::int64_t>(p.numerator)),
                     grouped(static_cast<std::int64_t>(std::llround(p.gpu_seconds))));
}

void put_throughput(Answer& out, const ServingResult& result, const Metrics& m) {
  out.row("requests/s", significant(m.request_rate.value), &m.throughput);
  out.row(
      "output tokens/s",
      fmt::format("{} = {}", significant(m.output_rate.value, 4), per_gpu_text(m.output_per_gpu)),
      &m.throughput);
  out.row("total tokens/s",
          fmt::format("{} = {}", significant(m.total_rate.value, 4), per_gpu_text(m.total_per_gpu)),
          &m.throughput);
  out.row("tokens/s/user",
          fmt::format("{} p50, {} p99 (1 / TPOT)", significant(m.tokens_per_s_per_user_p50),
                      significant(m.tokens_per_s_per_user_p99)),
          &m.latency);
  out.row("KV cache used",
          fmt::format("{} mean, {} peak of {} tokens", percent_text(m.mean_kv_used),
                      percent_text(m.peak_kv_used), grouped(result.memory.kv_tokens)),
          &m.kv);
}

void put_power(Answer& out, const Metrics& m) {
  const EnergyFigures& e = m.energy;
  out.row("GPU power",
          fmt::format("{} W mean, {} W peak per GPU; {} kW facility", significant(e.mean_gpu_watts),
                      significant(e.peak_gpu_watts), significant(e.mean_facility_watts / 1e3)),
          &m.power);
  out.row(
      "J/output token",
      fmt::format("{} GPU, {} server, {} facility (PUE {})", significant(e.j_per_output_token_gpu),
                  significant(e.j_per_output_token_server),
                  significant(e.j_per_output_token_facility), e.pue),
      &m.energy_figure);
}

void put_cost(Answer& out, const Scenario& scenario, const Metrics& m) {
  const auto& c = m.cost;
  const bool cny_first = scenario.cost.currency == models::cost::Currency::CNY;
  const auto both = [&](double cny, double usd) {
    const std::string yuan = "CNY " + money_text(cny), dollars = "USD " + money_text(usd);
    return cny_first ? yuan + " = " + dollars : dollars + " = " + yuan;
  };
  out.row("cost, output",
          both(c.cny_per_million_output_tokens, c.usd_per_million_output_tokens) +
              " per million output tokens",
          &m.money);
  out.row("cost, in + out",
          both(c.cny_per_million_total_tokens, c.usd_per_million_total_tokens) +
              " per million input + output tokens",
          &m.money);
  out.row("cost, hour", both(c.total_cny_per_hour, c.total_usd_per_hour), &m.money);
}

void put_slo(Answer& out, const Metrics& m) {
  if (m.slo.terms.empty()) return;
  out.row("SLO attained",
          fmt::format("{} within all limits ({} to {}); goodput {}/s",
                      percent_text(m.slo.attainment), percent_text(m.slo.attainment_low),
                      percent_text(m.slo.attainment_high), significant(m.slo.goodput)),
          &m.latency);
  for (const SloOutcome& t : m.slo.terms)
    out.row("",
            fmt::format("{:<7} {}: {}, {} of requests within{}", t.met ? "met" : "MISSED",
                        printable(t.term.text), time_text(t.value_s), percent_text(t.attainment),
                        t.inside_error ? " (inside the error)" : ""));
}

// What is chance: of a run that was repeated with other seeds.
void put_seeds(Answer& out, const Metrics& m) {
  if (m.seeds < 2) return;
  std::string head = fmt::format("{} seeds, 95 %", m.seeds);
  for (const OverSeeds& f : m.over_seeds) {
    const bool time = f.key.ends_with("_ms");
    const auto text = [&](double v) { return time ? time_text(v * 1e-3) : significant(v); };
    out.row(head,
            fmt::format("{:<28} {} ({} to {})", f.key, text(f.mean), text(f.low), text(f.high)));
    head.clear();
  }
  if (!m.slo.terms.empty())
    out.row("", fmt::format("the SLO is met with {} of {} seeds", m.seeds_meeting_slo, m.seeds));
}

std::string clip(std::string text, std::size_t width) {
  if (text.size() > width) text = text.substr(0, width - 3) + "...";
  return text;
}

// Heaviest first, so that the reader sees what the step time rests on.
void put_sources(Answer& out, const ServingResult& result) {
  auto sources = result.sources;
  std::stable_sort(sources.begin(), sources.end(),
                   [](const auto& a, const auto& b) { return a.share > b.share; });
  constexpr std::size_t kShown = 4;
  for (std::size_t i = 0; i < std::min(kShown, sources.size()); ++i) {
    const auto& s = sources[i];
    out.line(fmt::format("  {:<{}}{:>6}  {:<10} {:>8}  {}", i == 0 ? "rests on" : "", kLabelWidth,
                         percent_text(s.share), sim::core::to_string(s.provenance),
                         "+-" + error_text(s.relative_error), clip(printable(s.name), 54)));
  }
  if (sources.size() > kShown)
    out.line(
        fmt::format("  {:<{}}and {} more in the report", "", kLabelWidth, sources.size() - kShown));
  // Operator times are all that this error has been validated for.
  if (!sources.empty() && result.error_of_servers)
    out.line(fmt::format("  {:<{}}+- of latencies: as found on real servers of this engine", "",
                         kLabelWidth));
  if (!sources.empty() && !result.error_of_servers)
    out.line(fmt::format("  {:<{}}+- covers operator times; whole servers have been further off",
                         "", kLabelWidth));
}

const char* verdict_colour(const Metrics& m) {
  if (m.slo.terms.empty() || m.slo.inside_error) return kYellow;
  return m.slo.met ? kGreen : kRed;
}

std::string outcome_text(const SloOutcome& t) {
  if (!std::isfinite(t.value_s))
    return fmt::format("{}.{} is out of reach, too many requests never finish", t.term.metric,
                       t.term.statistic);
  const double ratio = t.value_s / t.term.limit_s;
  const std::string distance = t.met       ? percent_text(t.margin) + " to spare"
                               : ratio < 2 ? percent_text(-t.margin) + " over"
                                           : significant(ratio, 2) + " times as long";
  return fmt::format("{}.{} {} against {} ({})", t.term.metric, t.term.statistic,
                     time_text(t.value_s), time_text(t.term.limit_s), distance);
}

}  // namespace

std::string deployment_text(const Scenario& scenario, const Metrics& m) {
  const auto& d = scenario.serving.deployment;
  const auto pool_text = [](const models::serving::DeploymentSpec& pool) {
    return (pool.replicas > 1 ? fmt::format("{} x ", pool.replicas) : "") +
           layout_text(pool.layout);
  };
  std::string pools = pool_text(d);
  for (const auto& decode : scenario.serving.pools)
    pools = fmt::format("prefill {}, decode {},", pools, pool_text(decode));
  return fmt::format("{} ({}, KV {}), {}, {} on {} x {} ({} GPU{})", d.model.name,
                     models::llm::to_string(d.precision.weights),
                     models::hardware::to_string(d.precision.kv), d.engine.name, pools, m.nodes,
                     d.node.name, m.gpus, m.gpus == 1 ? "" : "s");
}

std::string verdict_sentence(const Metrics& m) {
  const auto& terms = m.slo.terms;
  if (terms.empty()) {
    return fmt::format("No SLO stated: TTFT p99 {}, TPOT p99 {}, {} output tokens/s",
                       time_text(m.ttft.p99), time_text(m.tpot.p99),
                       significant(m.output_rate.value));
  }
  if (m.arrived == 0) return "No verdict: no request arrived in the measured window";
  const auto worst = std::min_element(
      terms.begin(), terms.end(), [](const auto& a, const auto& b) { return a.margin < b.margin; });
  const auto missed =
      std::count_if(terms.begin(), terms.end(), [](const auto& t) { return !t.met; });
  std::string out = m.slo.met ? "Meets the SLO" : "Misses the SLO";
  if (missed > 1) out += fmt::format(" in {} terms", missed);
  if (m.slo.inside_error) out += ", but within its error";
  out += ": " + outcome_text(*worst);
  if (m.slo.inside_error && m.latency.relative_error)
    out += fmt::format(", error {}", error_text(*m.latency.relative_error));
  return out;
}

std::string terminal_answer(const Scenario& scenario, const ServingResult& result, const Metrics& m,
                            const RunInfo& info, const TerminalOptions& options) {
  Answer out(options.color);
  out.line(clip(printable(scenario.name), kColumns));
  out.line(painted(verdict_sentence(m), verdict_colour(m), options.color));
  if (m.saturation.saturated)
    out.line(painted(saturation_sentence(m.saturation), kRed, options.color));
  out.blank();
  put_head(out, scenario, result, m);
  out.blank();
  out.row("", fmt::format("{:>12}{:>12}{:>12}{:>12}", "p50", "p90", "p99", "mean"));
  put_latency(out, "TTFT", m.ttft, m.ttft_trust);
  put_latency(out, "TPOT", m.tpot, m.latency);
  put_latency(out, "E2E", m.e2el, m.latency);
  out.blank();
  put_throughput(out, result, m);
  put_power(out, m);
  put_cost(out, scenario, m);
  put_slo(out, m);
  put_seeds(out, m);
  out.blank();
  put_sources(out, result);
  if (!result.conservation_errors.empty())
    out.line(painted("  conservation checks FAILED: the figures above cannot be trusted", kRed,
                     options.color));
  if (!options.report.empty())
    out.line(fmt::format("  {:<{}}", "report", kLabelWidth) + printable(options.report.string()));
  if (!info.replay_command.empty())
    out.line(fmt::format("  {:<{}}", "reproduce", kLabelWidth) + printable(info.replay_command));
  return out.take();
}

}  // namespace foretoken::analysis
