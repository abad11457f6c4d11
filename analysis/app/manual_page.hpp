#pragma once
#include <string>
#include <string_view>

namespace foretoken::analysis::app {

// man 1 foretoken, from the pages of the commands. `exit_codes`: two columns, a code a line.
std::string manual_page(std::string_view exit_codes);

}  // namespace foretoken::analysis::app
