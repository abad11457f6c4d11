#pragma once
// Text inside an HTML page.
#include <string>

namespace foretoken::analysis {

// With the characters that mean something in HTML, also inside attributes, written as entities.
inline std::string html_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace foretoken::analysis
