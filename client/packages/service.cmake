# SPDX-License-Identifier: Apache-2.0
# Run by `cmake --install`: the unit and the settings, with the places that belong to the prefix.
set(prefix "${CMAKE_INSTALL_PREFIX}")
set(etc "${prefix}/etc")
set(data "${prefix}/var/lib/whimbrel")
if(prefix STREQUAL "/usr")
  set(etc /etc)
  set(data /var/lib/whimbrel)
endif()
foreach(name whimbrel.service whimbrel.toml)
  configure_file("${here}/${name}" "${made}/${name}" @ONLY)
endforeach()
file(INSTALL "${made}/whimbrel.service" DESTINATION "${prefix}/lib/systemd/system")
if(DEFINED ENV{DESTDIR} OR NOT EXISTS "${etc}/whimbrel/whimbrel.toml")  # somebody's own stays
  file(INSTALL "${made}/whimbrel.toml" DESTINATION "${etc}/whimbrel")
endif()
