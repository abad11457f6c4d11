#pragma once
#include <filesystem>

namespace foretoken::analysis::app {

// The folder that holds scenarios/ and validation/: $FORETOKEN_HOME, else upwards from the
// program, else where it was built from. Throws InputError if none has a catalogue.
std::filesystem::path find_home();

}  // namespace foretoken::analysis::app
