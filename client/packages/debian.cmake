# SPDX-License-Identifier: Apache-2.0
# The Debian packages: whimbrel, libwhimbrel0, libwhimbrel-dev.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR "The Whimbrel authors")
set(CPACK_PACKAGE_CONTACT "The Whimbrel authors <whimbrel@localhost>")
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL broker library development)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE
  GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(CPACK_DEBIAN_BROKER_PACKAGE_NAME whimbrel)
set(CPACK_DEBIAN_BROKER_PACKAGE_SECTION net)
set(CPACK_DEBIAN_BROKER_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_BROKER_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_COMPONENT_BROKER_DESCRIPTION
"AMQP 1.0 message broker
Queues that durable messages leave only when they have been consumed; tools to
send, receive and administer; and a suite that checks any AMQP 1.0 broker.")
set(CPACK_DEBIAN_BROKER_PACKAGE_CONTROL_EXTRA
  ${here}/conffiles ${here}/postinst ${here}/prerm ${here}/postrm)

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libwhimbrel${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION
"AMQP 1.0 client library
Connections, senders, receivers and requests with a blocking face, for any
AMQP 1.0 broker.")
# The linker's cache is for dpkg to renew.
file(WRITE ${made}/triggers "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${made}/triggers)

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libwhimbrel-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
  "libwhimbrel${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION})")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION
"AMQP 1.0 client library: headers
What programs are built with that use libwhimbrel: headers, and the files by
which CMake and pkg-config find them.")

foreach(name broker library development)
  string(TOUPPER ${name} upper)
  install(FILES copyright COMPONENT ${name}
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${CPACK_DEBIAN_${upper}_PACKAGE_NAME})
endforeach()
include(CPack)

add_custom_target(packages
  COMMAND ${CMAKE_CPACK_COMMAND} --config ${PROJECT_BINARY_DIR}/CPackConfig.cmake -G DEB
  WORKING_DIRECTORY ${PROJECT_BINARY_DIR} COMMENT "Making the Debian packages" VERBATIM)
add_dependencies(packages installable)
