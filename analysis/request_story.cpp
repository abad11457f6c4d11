#include "analysis/request_story.hpp"

#include <fmt/format.h>

#include <cmath>

#include "analysis/number_text.hpp"

namespace foretoken::analysis {
namespace {

using models::serving::RequestEvent;
using models::serving::RequestOutcome;
using models::serving::RequestTable;
using Kind = RequestEvent::Kind;

constexpr double kSecond = 1e-12;  // of a picosecond

double seconds(std::int64_t ps) { return static_cast<double>(ps) * kSecond; }
double span(const RequestEvent& e) { return seconds(e.end_ps - e.start_ps); }

std::string counted(std::int64_t n, const char* what) {
  return fmt::format("{} {}{}", grouped(n), what, n == 1 ? "" : "s");
}

std::string at_text(double s) { return fmt::format("{:12.6f} s  ", s); }

// One paragraph an event; chunks of one prompt in a row are told together.
class Teller {
 public:
  Teller(const Scenario& scenario, const ServingResult& result, std::size_t request)
      : scenario_(scenario), result_(result), table_(result.requests), request_(request) {}

  std::string tell() {
    arrival();
    for (std::size_t i = 0; i < result_.watched.size(); ++i) event(i);
    ending();
    return text_;
  }

 private:
  void line(double at_s, const std::string& words) { text_ += at_text(at_s) + words + "\n"; }
  void more(const std::string& words) { text_ += std::string(16, ' ') + words + "\n"; }

  void arrival() {
    std::string words = fmt::format("sent by its client: {} in, {} out to come",
                                    counted(table_.input_tokens[request_], "token"),
                                    grouped(table_.output_tokens[request_]));
    if (!table_.tenant.empty()) words += fmt::format("; tenant {}", table_.tenant[request_]);
    if (!table_.priority.empty()) words += fmt::format("; priority {}", table_.priority[request_]);
    if (!table_.deadline_s.empty() && std::isfinite(table_.deadline_s[request_]))
      words += fmt::format("; due at {:.3f} s", table_.deadline_s[request_]);
    line(table_.arrival_s[request_], words);
    if (table_.replica[request_] < 0)
      line(table_.arrival_s[request_],
           fmt::format(
               "refused: longer than the context of {}, {}; over_context: truncate would cut "
               "its prompt",
               scenario_.serving.deployment.model.name,
               counted(scenario_.serving.deployment.model.max_positions, "token")));
  }

  void event(std::size_t i) {
    const RequestEvent& e = result_.watched[i];
    const double at_s = seconds(e.start_ps);
    switch (e.kind) {
      case Kind::reached:
        waiting_since_s_ = at_s;
        return line(at_s, fmt::format("reached replica {}: {} in the batch, {} ahead in the queue",
                                      table_.replica[request_], counted(e.b, "request"),
                                      counted(e.a, "request")));
      case Kind::admitted:
        return line(at_s, fmt::format("admitted after {} in the queue{}",
                                      time_text(at_s - waiting_since_s_),
                                      e.a > 0 ? fmt::format(", {} of KV back from host memory",
                                                            counted(e.a, "token"))
                                              : ""));
      case Kind::chunk:
        return chunk(e);
      case Kind::token:
        return line(at_s, "first token out");
      case Kind::preempted:
        waiting_since_s_ = at_s;
        return line(at_s,
                    fmt::format("preempted after {} tokens: {}", grouped(e.a),
                                e.b ? "its KV went to host memory"
                                    : "its KV blocks were given to others, it will start over"));
      case Kind::decoded:
        return decoded(e);
      case Kind::finished:
        return line(at_s, fmt::format("last of {} done", counted(e.a, "token")));
      case Kind::refused:
        return line(at_s, "refused: the KV pool could never hold it");
      case Kind::gave_up:
        return line(at_s, "its client gave up waiting");
      case Kind::lost:
        return line(at_s, "lost with the replica, its KV too");
    }
  }

  void chunk(const RequestEvent& e) {
    line(seconds(e.start_ps),
         fmt::format("prefill of {} in a step of {} ({} of prompts, {} beside)",
                     counted(e.a, "token"), time_text(span(e)), counted(e.b, "token"),
                     counted(e.c, "decode")));
  }

  void decoded(const RequestEvent& e) {
    line(seconds(e.start_ps),
         fmt::format("decoded {} in {}: {} each, the slowest {}", counted(e.a, "token"),
                     time_text(span(e)), time_text(span(e) / static_cast<double>(e.a)),
                     time_text(seconds(e.longest_ps))));
    if (e.b > 0) more(fmt::format("{} of these steps carried prompts of others", grouped(e.b)));
  }

  void ending() {
    const double arrival_s = table_.arrival_s[request_];
    const double first_s = table_.first_token_s[request_];
    const double last_s = table_.last_token_s[request_];
    if (table_.outcome[request_] != RequestOutcome::completed) {
      if (table_.outcome[request_] == RequestOutcome::unfinished)
        text_ += "it was not done when the run ended\n";
      return;
    }
    line(last_s, "the client has it all");
    const std::int32_t output = table_.output_tokens[request_];
    text_ += fmt::format("\nTTFT {}, of which {} until it was scheduled; end to end {}",
                         time_text(first_s - arrival_s),
                         time_text(table_.scheduled_s[request_] - arrival_s),
                         time_text(last_s - arrival_s));
    if (output > 1) text_ += fmt::format("; TPOT {}", time_text((last_s - first_s) / (output - 1)));
    text_ += fmt::format("; {}\n", counted(table_.preemptions[request_], "preemption"));
  }

  const Scenario& scenario_;
  const ServingResult& result_;
  const RequestTable& table_;
  std::size_t request_;
  std::string text_;
  double waiting_since_s_ = 0;
};

}  // namespace

std::string request_story(const Scenario& scenario, const ServingResult& result, std::size_t row) {
  return Teller(scenario, result, row).tell();
}

std::string request_outline(const ServingResult& tables, std::size_t row) {
  const RequestTable& t = tables.requests;
  const std::size_t i = row;
  std::string text = at_text(t.arrival_s[i]) + fmt::format("sent by its client: {} in, {} out\n",
                                                           counted(t.input_tokens[i], "token"),
                                                           grouped(t.output_tokens[i]));
  if (t.outcome[i] == RequestOutcome::rejected) return text + "refused\n";
  const auto stage = [&text](double at_s, const std::string& words) {
    if (std::isfinite(at_s)) text += at_text(at_s) + words + "\n";
  };
  stage(t.scheduled_s[i], fmt::format("admitted by replica {} after {}", t.replica[i],
                                      time_text(t.scheduled_s[i] - t.arrival_s[i])));
  stage(t.first_token_s[i],
        fmt::format("first token: TTFT {}", time_text(t.first_token_s[i] - t.arrival_s[i])));
  stage(t.last_token_s[i],
        fmt::format("last token: end to end {}, {}", time_text(t.last_token_s[i] - t.arrival_s[i]),
                    counted(t.preemptions[i], "preemption")));
  std::int64_t steps = 0, prompts = 0;
  for (std::size_t k = 0; k < tables.steps.start_s.size(); ++k) {
    const bool inside = tables.steps.replica[k] == t.replica[i] &&
                        tables.steps.start_s[k] >= t.scheduled_s[i] &&
                        tables.steps.start_s[k] < t.last_token_s[i];
    steps += inside;
    prompts += inside && tables.steps.prefill_tokens[k] > 0;
  }
  return text + fmt::format("{} kept in run.h5 (one in {}) fall into its time, {} with prompts\n",
                            counted(steps, "step"), tables.steps.kept_every, grouped(prompts));
}

}  // namespace foretoken::analysis
