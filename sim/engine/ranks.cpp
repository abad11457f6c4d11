#include "sim/engine/ranks.hpp"

#include <algorithm>
#include <cstring>
#include <set>
#include <stdexcept>
#include <string>

#include "sim/core/error.hpp"

namespace foretoken::sim::engine {

namespace {

struct Parcel {
  std::uint64_t partition;
  Message message;
  Payload payload;
};

// Kinds of exception that keep their type when they cross ranks.
enum class Kind : std::uint8_t { none, input, infeasible, argument, overflow, logic, other };

Kind kind_of(const std::exception& e) {
  if (dynamic_cast<const core::InputError*>(&e) != nullptr) return Kind::input;
  if (dynamic_cast<const core::InfeasibleError*>(&e) != nullptr) return Kind::infeasible;
  if (dynamic_cast<const std::invalid_argument*>(&e) != nullptr) return Kind::argument;
  if (dynamic_cast<const std::overflow_error*>(&e) != nullptr) return Kind::overflow;
  if (dynamic_cast<const std::logic_error*>(&e) != nullptr) return Kind::logic;
  return Kind::other;
}

[[noreturn]] void raise(Kind kind, const std::string& words) {
  switch (kind) {
    case Kind::input: {
      core::Diagnostic diagnostic;
      // what() of an InputError begins with "error: ", which the new one adds again.
      diagnostic.message = words.rfind("error: ", 0) == 0 ? words.substr(7) : words;
      throw core::InputError(std::vector<core::Diagnostic>{diagnostic});
    }
    case Kind::infeasible:
      throw core::InfeasibleError(words);
    case Kind::argument:
      throw std::invalid_argument(words);
    case Kind::overflow:
      throw std::overflow_error(words);
    case Kind::logic:
      throw std::logic_error(words);
    default:
      throw std::runtime_error(words);
  }
}

void append(std::vector<std::byte>& out, const void* data, std::size_t bytes) {
  const auto* first = static_cast<const std::byte*>(data);
  out.insert(out.end(), first, first + bytes);
}

// Key, kind and words of a failure, as bytes.
std::vector<std::byte> describe(const Failure& failure) {
  Kind kind = Kind::other;
  std::string words = "an exception of an unknown type";
  try {
    std::rethrow_exception(failure.error);
  } catch (const std::exception& e) {
    kind = kind_of(e);
    words = e.what();
  } catch (...) {
    kind = Kind::other;  // nothing more is known of it
  }
  std::vector<std::byte> out;
  append(out, &failure.key, sizeof(Key));
  append(out, &kind, sizeof kind);
  append(out, words.data(), words.size());
  return out;
}

}  // namespace

Ranks::Ranks(System& system, Transport& transport) : system_(system), transport_(transport) {
  const std::uint64_t n = system.size();
  const auto ranks = static_cast<std::uint64_t>(transport.size());
  for (std::uint64_t p = 0; p < n; ++p) rank_of_.push_back(static_cast<int>(p * ranks / n));
  find_neighbours();
}

void Ranks::find_neighbours() {
  std::set<int> found;
  if (system_.dense) {
    for (int r = 0; r < transport_.size(); ++r) found.insert(r);
  }
  for (const Edge& e : system_.edges) {
    const int from = rank_of_[e.from];
    const int to = rank_of_[e.to];
    if (from == transport_.rank()) found.insert(to);
    if (to == transport_.rank()) found.insert(from);
  }
  found.erase(transport_.rank());
  neighbours_.assign(found.begin(), found.end());
}

std::optional<StopReason> Ranks::agree(std::uint64_t& next, std::uint64_t& arrival,
                                       std::uint64_t& cut, std::uint64_t& stopper,
                                       std::optional<StopReason> limit) {
  std::uint64_t values[] = {next, arrival, cut, stopper,
                            limit ? static_cast<std::uint64_t>(*limit) : EventQueue::kNever};
  transport_.all_min(values);
  next = values[0];
  arrival = values[1];
  cut = values[2];
  stopper = values[3];
  if (values[4] == EventQueue::kNever) return std::nullopt;
  return static_cast<StopReason>(values[4]);
}

void Ranks::pack(std::span<Outbox> outboxes, std::vector<std::vector<std::byte>>& out) const {
  std::vector<std::size_t> slot(static_cast<std::size_t>(transport_.size()), 0);
  for (std::size_t i = 0; i < neighbours_.size(); ++i) {
    slot[static_cast<std::size_t>(neighbours_[i])] = i;
  }
  for (Outbox& outbox : outboxes) {
    for (std::uint32_t p = 0; p < system_.size(); ++p) {
      if (owns(p) || outbox.earliest[p] == EventQueue::kNever) continue;
      auto& bytes = out[slot[static_cast<std::size_t>(rank_of_[p])]];
      for (const Message& message : outbox.to[p].messages) {
        const Parcel parcel{p, message, outbox.to[p].payload_of(message)};
        append(bytes, &parcel, sizeof parcel);
      }
      outbox.earliest[p] = EventQueue::kNever;
    }
  }
}

void Ranks::unpack(std::span<const std::byte> bytes, Outbox& outbox) const {
  SIM_ASSERT(bytes.size() % sizeof(Parcel) == 0, "another rank sent half a message");
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(Parcel)) {
    Parcel parcel;
    std::memcpy(&parcel, bytes.data() + at, sizeof parcel);
    SIM_ASSERT(
        parcel.partition < system_.size() && owns(static_cast<std::uint32_t>(parcel.partition)),
        "another rank sent a message for a partition that is not here");
    const Message& m = parcel.message;
    outbox.add(static_cast<std::uint32_t>(parcel.partition), m.key, m.target, m.kind,
               parcel.payload);
  }
}

void Ranks::exchange(std::span<Outbox> outboxes) {
  std::vector<std::vector<std::byte>> out(neighbours_.size());
  pack(outboxes, out);
  for (const auto& bytes : transport_.exchange(neighbours_, out)) unpack(bytes, outboxes[0]);
}

void Ranks::rethrow_failure() {
  const Failure* mine = system_.first_failure();
  const auto all =
      transport_.all_gather(mine != nullptr ? describe(*mine) : std::vector<std::byte>{});
  const std::vector<std::byte>* first = nullptr;
  Key least;
  for (const auto& bytes : all) {
    if (bytes.empty()) continue;
    Key key;
    std::memcpy(&key, bytes.data(), sizeof key);
    if (first != nullptr && !(key < least)) continue;
    least = key;
    first = &bytes;
  }
  if (first == nullptr) return;
  if (mine != nullptr && mine->key == least) std::rethrow_exception(mine->error);
  Kind kind{};
  std::memcpy(&kind, first->data() + sizeof(Key), sizeof kind);
  const std::size_t head = sizeof(Key) + sizeof(Kind);
  raise(kind,
        std::string(reinterpret_cast<const char*>(first->data()) + head, first->size() - head));
}

void Ranks::share_processes() {
  std::vector<std::byte> mine;
  std::vector<std::byte> state;
  for (const Address& a : system_.addresses) {
    if (!owns(a.partition)) continue;
    state.clear();
    system_.partitions[a.partition]->process(a.local).save(state);
    const std::uint64_t bytes = state.size();
    append(mine, &bytes, sizeof bytes);
    append(mine, state.data(), state.size());
  }
  const auto all = transport_.all_gather(mine);
  std::vector<std::size_t> at(all.size(), 0);
  for (const Address& a : system_.addresses) {
    const auto rank = static_cast<std::size_t>(rank_of_[a.partition]);
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, all[rank].data() + at[rank], sizeof bytes);
    at[rank] += sizeof bytes;
    if (!owns(a.partition)) {
      system_.partitions[a.partition]->process(a.local).restore(
          std::span(all[rank]).subspan(at[rank], bytes));
    }
    at[rank] += bytes;
  }
}

void Ranks::sum_up(RunReport& report) {
  std::uint64_t sums[] = {report.events, report.hash, report.pending,
                          static_cast<std::uint64_t>(report.queue_bytes)};
  transport_.all_sum(sums);
  report.events = sums[0];
  report.hash = sums[1];
  report.pending = sums[2];
  report.queue_bytes = static_cast<double>(sums[3]);
  std::uint64_t end[] = {EventQueue::kNever - static_cast<std::uint64_t>(report.end.ps())};
  transport_.all_min(end);
  report.end = Time::from_ps(static_cast<std::int64_t>(EventQueue::kNever - end[0]));
}

}  // namespace foretoken::sim::engine
