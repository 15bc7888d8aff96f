# SPDX-License-Identifier: Apache-2.0
# find_package(Whimbrel) gives the target Whimbrel::client. It needs no other package.
@PACKAGE_INIT@
include("${CMAKE_CURRENT_LIST_DIR}/WhimbrelTargets.cmake")
check_required_components(Whimbrel)
