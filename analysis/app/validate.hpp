#pragma once
// Subjects of `foretoken validate SUBJECT`. Each is one file with one function; its arguments are
// what follows the subject.
#include "analysis/app/command.hpp"

namespace foretoken::analysis::app {

int validate_trace_command(const Invocation&);

}  // namespace foretoken::analysis::app
