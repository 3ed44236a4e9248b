# What is installed, in four components:
#   runtime      the programs and the systemd unit
#   development  include/vineyard, libvineyard_client.a, and find_package(vineyard)
#   python       the extension module, below vineyard/   (only when asked for by name)
#   wheel        the programs, below vineyard/bin/, and what Python runs at its start
#                                                         (only when asked for by name)
include(CMakePackageConfigHelpers)

foreach(program vineyardd vineyardctl)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)
    install(TARGETS ${program} RUNTIME DESTINATION vineyard/bin COMPONENT wheel EXCLUDE_FROM_ALL)
  endif()
endforeach()
install(FILES packaging/vineyardd.service DESTINATION lib/systemd/system COMPONENT runtime)

if(TARGET _core)
  install(TARGETS _core LIBRARY DESTINATION vineyard COMPONENT python EXCLUDE_FROM_ALL)
  # Beside the package: Python looks for .pth files nowhere else.
  install(FILES python/startup/vineyard.pth python/startup/_vineyard_startup.py DESTINATION .
          COMPONENT wheel EXCLUDE_FROM_ALL)
endif()

if(TARGET vineyard_client)
  # One archive with everything the client is made of, so that a user links one thing and our own
  # folders stay our own affair.
  add_library(vineyard_sdk STATIC)
  foreach(part vineyard_types vineyard_client vineyard_layout vineyard_wire vineyard_os vineyard_base vineyard_fmt)
    get_target_property(kind ${part} TYPE)
    if(NOT kind STREQUAL "INTERFACE_LIBRARY")
      target_sources(vineyard_sdk PRIVATE $<TARGET_OBJECTS:${part}>)
    endif()
  endforeach()
  set_target_properties(vineyard_sdk PROPERTIES
    OUTPUT_NAME vineyard_client EXPORT_NAME client LINKER_LANGUAGE CXX)
  target_include_directories(vineyard_sdk INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(vineyard_sdk INTERFACE cxx_std_23)
  target_link_libraries(vineyard_sdk INTERFACE Threads::Threads)

  set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/vineyard)
  install(TARGETS vineyard_sdk EXPORT vineyard
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
  install(EXPORT vineyard NAMESPACE vineyard:: FILE vineyardTargets.cmake
          DESTINATION ${package_dir} COMPONENT development)
  install(DIRECTORY include/vineyard DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
          COMPONENT development FILES_MATCHING PATTERN "*.h")
  configure_package_config_file(cmake/vineyardConfig.cmake.in
    ${CMAKE_BINARY_DIR}/package/vineyardConfig.cmake INSTALL_DESTINATION ${package_dir})
  write_basic_package_version_file(${CMAKE_BINARY_DIR}/package/vineyardConfigVersion.cmake
    COMPATIBILITY SameMajorVersion)
  install(FILES ${CMAKE_BINARY_DIR}/package/vineyardConfig.cmake
          ${CMAKE_BINARY_DIR}/package/vineyardConfigVersion.cmake
          DESTINATION ${package_dir} COMPONENT development)
endif()
