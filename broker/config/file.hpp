// SPDX-License-Identifier: Apache-2.0
// The configuration file: TOML, the flat keys of the settings table and the tables [[listener]],
// [[queue]], [[policy]], [[user]], [[auto-create]]. An unknown key is an error; so is [[exchange]],
// which this version does not implement.
#pragma once

#include <functional>
#include <string>

#include "broker/config/settings.hpp"

namespace whimbrel::broker::config {

/// Called for every flat key that was set, with the place as FILE:LINE.
using on_set = std::function<void(const setting&, const std::string& place)>;

/// Reads `path` over what `to` holds. A kind of table that occurs replaces the default of its list.
/// Throws `invalid` with "FILE:LINE: key: what is wrong".
void apply_file(settings& to, const std::string& path, const on_set& seen);

}  // namespace whimbrel::broker::config
