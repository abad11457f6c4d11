#include "sim/engine/context.hpp"

#include <cstdio>
#include <stdexcept>
#include <string>

namespace foretoken::sim::engine {

namespace {

std::string in_seconds(std::uint64_t ps) {
  char text[32];  // to_string() would show a microsecond as 0.000001 and less as zero
  std::snprintf(text, sizeof text, "%.12g s", static_cast<double>(ps) * 1e-12);
  return text;
}

}  // namespace

std::string Context::describe(std::uint32_t id) const {
  std::string text = "process " + std::to_string(id);
  const std::string& name = (*names_)[id];
  return name.empty() ? text : text + " '" + name + "'";
}

void Context::stop() {
  if (!alone_ && !self_->may_stop) {
    throw std::logic_error(describe(self_->id) +
                           " called stop(), but its may_stop() is false: other partitions may "
                           "already be past this time; override may_stop() to return true");
  }
  stop_at_ = now_;
  if (now_ + 1 < limit_) limit_ = now_ + 1;
}

void Context::refuse_delay(Duration delay) const {
  if (delay.ps() < 0) {
    throw std::invalid_argument(describe(self_->id) + " at " + in_seconds(now_) +
                                " asked for a negative delay of " + std::to_string(delay.ps()) +
                                " ps: an event cannot lie in the past");
  }
  throw std::overflow_error(describe(self_->id) + " at " + in_seconds(now_) +
                            " asked for a delay of " + std::to_string(delay.seconds()) +
                            " s: simulated time is limited to 106 days");
}

void Context::refuse_sequence() const {
  throw std::overflow_error(describe(self_->id) +
                            " has scheduled 2^32 events, more than an event's key can number: "
                            "split it into several processes");
}

void Context::refuse_send(ChannelId channel, std::uint32_t index, Duration delay) const {
  const std::string who = describe(self_->id) + " at " + in_seconds(now_);
  if (channel.value >= channel_count_) {
    throw std::invalid_argument(who + " sent over channel " + std::to_string(channel.value) +
                                ", which does not exist");
  }
  const Channel& c = channels_[channel.value];
  if (c.from != self_->id) {
    throw std::invalid_argument(who + " sent over channel " + std::to_string(channel.value) +
                                ", which belongs to " + describe(c.from));
  }
  if (index >= c.count) {
    throw std::invalid_argument(who + " sent to receiver " + std::to_string(index) +
                                " of channel " + std::to_string(channel.value) +
                                ", which has only " + std::to_string(c.count));
  }
  if (delay.ps() < c.min_delay_ps) {
    throw std::invalid_argument(who + " sent to " + describe(c.first + index) +
                                " with a delay of " + std::to_string(delay.ps()) +
                                " ps, below the channel's minimum of " +
                                std::to_string(c.min_delay_ps) + " ps");
  }
  throw std::logic_error(who + " broke its promise: it sent to " + describe(c.first + index) +
                         " before " + in_seconds(self_->promise) +
                         ", the time it promised to be silent until");
}

}  // namespace foretoken::sim::engine
