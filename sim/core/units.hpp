#pragma once
// Strong types for physical quantities. Values are doubles in the base unit named by the type;
// integers (bytes, FLOPs) are exact up to 2^53. Only meaningful operations exist.
#include <compare>

#include "sim/core/time.hpp"

namespace foretoken::sim::core {

template <class Tag>
class Quantity {
 public:
  constexpr Quantity() = default;
  explicit constexpr Quantity(double value) : value_(value) {}
  [[nodiscard]] constexpr double value() const { return value_; }

  constexpr auto operator<=>(const Quantity&) const = default;
  constexpr Quantity operator+(Quantity o) const { return Quantity(value_ + o.value_); }
  constexpr Quantity operator-(Quantity o) const { return Quantity(value_ - o.value_); }
  constexpr Quantity operator*(double f) const { return Quantity(value_ * f); }
  constexpr Quantity operator/(double f) const { return Quantity(value_ / f); }
  constexpr double operator/(Quantity o) const { return value_ / o.value_; }
  constexpr Quantity& operator+=(Quantity o) {
    value_ += o.value_;
    return *this;
  }

 private:
  double value_ = 0.0;
};

using Bytes = Quantity<struct BytesTag>;                    // byte
using BytesPerSecond = Quantity<struct BytesPerSecondTag>;  // byte/s
using Flops = Quantity<struct FlopsTag>;                    // floating-point operations
using FlopsPerSecond = Quantity<struct FlopsPerSecondTag>;  // operations/s
using Watts = Quantity<struct WattsTag>;                    // W
using Joules = Quantity<struct JoulesTag>;                  // J
using Hertz = Quantity<struct HertzTag>;                    // 1/s

// Seconds as double, for models that stay in floating point until an event is scheduled.
constexpr double seconds_of(Bytes b, BytesPerSecond r) { return b.value() / r.value(); }
constexpr double seconds_of(Flops f, FlopsPerSecond r) { return f.value() / r.value(); }
constexpr Joules operator*(Watts p, Duration t) { return Joules(p.value() * t.seconds()); }

}  // namespace foretoken::sim::core
