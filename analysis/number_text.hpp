#pragma once
// Numbers as people read them.
#include <cstdint>
#include <string>

namespace foretoken::analysis {

std::string grouped(std::int64_t value);  // 19,366
// `digits` significant digits, thousands grouped, never an exponent: 1,166 or 0.0413.
std::string significant(double value, int digits = 3);
std::string time_text(double seconds);   // 412 us, 41.2 ms, 1.42 s
std::string percent_text(double share);  // 18 %, 0.4 %, 99.6 %
std::string bytes_text(double bytes);    // 141 GB
std::string money_text(double amount);   // 0.52, 12.30, 1,240

}  // namespace foretoken::analysis
