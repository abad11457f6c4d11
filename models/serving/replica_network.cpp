// What a replica's steps and the network that they share with other traffic know of each other.
#include <algorithm>
#include <cmath>

#include "models/serving/replica.hpp"

namespace foretoken::models::serving {

using sim::core::Duration;
using sim::engine::Context;
using sim::engine::Payload;
using sim::engine::Priority;

namespace {
// A load that differs by less is as good as the one that was told before.
constexpr double kAsGood = 0.01;

bool alike(double a, double b) { return std::abs(a - b) <= kAsGood * std::max(a, b); }
}  // namespace

// Of the step that begins (or goes on) now, if it differs from what was told last.
void Replica::tell_load(Context& context) {
  if (!load_) return;
  StepLoad load;
  if (busy_) {  // a step takes time
    StepInput input = step_input();
    const StepCost cost = price(input);
    input.network_stretch = 1.0;
    const double alone_s = stretch_ == 1.0 ? cost.seconds : price(input).seconds;
    load = {cost.network_bytes / cost.seconds, cost.network_s / cost.seconds,
            cost.network_s / alone_s};
  }
  if (alike(load.share, told_.share) && alike(load.alone, told_.alone)) return;
  told_ = load;
  context.send(*load_, spec_.network_delay, kStepLoad, Payload(load));
}

// What is left of the step in progress goes at the new pace, as do all that follow.
void Replica::stretch_steps(Context& context, double times) {
  if (!busy_) {
    stretch_ = times;
    return;
  }
  if (run_length_ > 0) cut_run(context);
  const std::int64_t now_ps = context.now().ps();
  const double before_s = price(step_input()).seconds;
  stretch_ = times;
  const double after_s = price(step_input()).seconds;
  std::int64_t& end_ps = ends_[run_length_ > 0 ? run_booked_ : 0];
  const double left_s = static_cast<double>(end_ps - now_ps) * 1e-12;
  const Duration left = Duration::from_seconds(left_s * after_s / before_s);
  context.cancel(step_end_);
  step_end_ = context.schedule(left, kStepEnd, {}, Priority::late);
  end_ps = now_ps + left.ps();
  bent_ = true;
  tell_load(context);
}

}  // namespace foretoken::models::serving
