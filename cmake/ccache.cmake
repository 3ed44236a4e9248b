# ccache where it is installed. Build folders and clones at other places share what it keeps: paths
# below the checkout are made relative, and the folder compiled in does not count.
find_program(VINEYARD_CCACHE ccache)
if(VINEYARD_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
      ${VINEYARD_CCACHE})
endif()
