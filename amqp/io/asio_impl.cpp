// SPDX-License-Identifier: Apache-2.0
// Boost.Asio's own code, compiled here once for the whole tree (BOOST_ASIO_SEPARATE_COMPILATION).
#include <boost/asio/impl/src.hpp>
