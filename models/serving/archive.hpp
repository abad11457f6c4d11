#pragma once
// State of a process to bytes and back, for gathering it on one rank. A class lists its members
// once, in `template <class A> void fields(A& archive) { archive(a_, b_); }`; what they hold must
// be trivially copyable, a vector or deque of such, or have fields() of its own.
#include <cstddef>
#include <cstring>
#include <deque>
#include <span>
#include <type_traits>
#include <vector>

#include "sim/core/error.hpp"

namespace foretoken::models::serving {

template <class T, class A>
concept HasFields = requires(T& value, A& archive) {
  value.fields(archive);
};

class Writer {
 public:
  explicit Writer(std::vector<std::byte>& out) : out_(out) {}
  template <class... T>
  void operator()(T&... values) {
    (write(values), ...);
  }

 private:
  template <class T>
  void write(T& value) {
    if constexpr (HasFields<T, Writer>) {
      value.fields(*this);
    } else {
      static_assert(std::is_trivially_copyable_v<T>);
      const auto* bytes = reinterpret_cast<const std::byte*>(&value);
      out_.insert(out_.end(), bytes, bytes + sizeof(T));
    }
  }
  template <class T>
  void write(std::vector<T>& values) {
    write_range(values);
  }
  template <class T>
  void write(std::deque<T>& values) {
    write_range(values);
  }
  template <class R>
  void write_range(R& values) {
    std::size_t size = values.size();
    write(size);
    for (auto& value : values) write(value);
  }
  std::vector<std::byte>& out_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> in) : in_(in) {}
  template <class... T>
  void operator()(T&... values) {
    (read(values), ...);
  }
  [[nodiscard]] bool done() const { return in_.empty(); }

 private:
  template <class T>
  void read(T& value) {
    if constexpr (HasFields<T, Reader>) {
      value.fields(*this);
    } else {
      static_assert(std::is_trivially_copyable_v<T>);
      SIM_ASSERT(in_.size() >= sizeof(T), "the saved state of a process ends too early");
      std::memcpy(&value, in_.data(), sizeof(T));
      in_ = in_.subspan(sizeof(T));
    }
  }
  template <class T>
  void read(std::vector<T>& values) {
    read_range(values);
  }
  template <class T>
  void read(std::deque<T>& values) {
    read_range(values);
  }
  template <class R>
  void read_range(R& values) {
    std::size_t size = 0;
    read(size);
    values.resize(size);
    for (auto& value : values) read(value);
  }
  std::span<const std::byte> in_;
};

}  // namespace foretoken::models::serving
