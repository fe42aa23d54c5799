#===- DitTargets.cmake - How targets of this project are made --------------===#
#
# dit_library(NAME sources... [DEPENDS targets...] [LINK libraries...])
#     a static library without MLIR: the runtime
# dit_mlir_library(NAME sources... [DEPENDS ...] [LINK ...])
#     a static library that uses MLIR, with the project's precompiled header
# dit_executable(NAME sources... [LINK ...])          without MLIR
# dit_mlir_executable(NAME sources... [LINK ...])     with all of static MLIR
# dit_gtest(NAME sources... [LINK ...] [MLIR])        a gtest binary under ctest
#
#===------------------------------------------------------------------------===#

if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-instantiate-templates>)
endif()
add_link_options(-fuse-ld=lld -static-libstdc++ -static-libgcc
                 -Wl,--as-needed -Wl,--gc-sections)
if(DIT_COVERAGE)
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
endif()

# The exported archives of MLIR name libLLVM.so in their link interface, which
# beside static LLVM registers every option twice and aborts. Take it out, and
# let LLVMSupport use the static zlib and zstd and no z3.
foreach(target ${MLIR_EXPORTED_TARGETS})
  if(TARGET ${target})
    get_target_property(libraries ${target} INTERFACE_LINK_LIBRARIES)
    if(libraries)
      list(REMOVE_ITEM libraries LLVM MLIR "$<LINK_ONLY:LLVM>")
      set_target_properties(${target} PROPERTIES INTERFACE_LINK_LIBRARIES "${libraries}")
    endif()
  endif()
endforeach()
find_library(DIT_ZLIB libz.a REQUIRED)
find_library(DIT_ZSTD libzstd.a REQUIRED)
find_library(DIT_PNG libpng.a REQUIRED)
find_library(DIT_JPEG libjpeg.a REQUIRED)
find_library(DIT_PROTOBUF libprotobuf.a REQUIRED)
find_library(DIT_XXHASH libxxhash.a REQUIRED)
find_library(DIT_XSMM NAMES libxsmm.a REQUIRED)
find_library(DIT_XSMM_NOBLAS NAMES libxsmmnoblas.a REQUIRED)
find_program(DIT_PROTOC protoc REQUIRED)
get_target_property(libraries LLVMSupport INTERFACE_LINK_LIBRARIES)
list(FILTER libraries EXCLUDE REGEX "libz3|Z3|ZLIB|zstd")
set_target_properties(LLVMSupport PROPERTIES INTERFACE_LINK_LIBRARIES
                      "${libraries};${DIT_ZLIB};${DIT_ZSTD}")

# All of MLIR but what drags in every target or is for tests; the linker drops
# what nobody uses.
file(GLOB DIT_MLIR_ARCHIVES ${LLVM_LIBRARY_DIRS}/libMLIR*.a)
list(FILTER DIT_MLIR_ARCHIVES EXCLUDE REGEX "Test|CAPI|ROCDLTarget|XeVMTarget")
llvm_map_components_to_libnames(DIT_LLVM_COMPILER
  support core passes linker bitreader bitwriter irreader ipo target targetparser
  x86codegen x86asmparser x86desc x86info
  nvptxcodegen nvptxdesc nvptxinfo)
llvm_map_components_to_libnames(DIT_LLVM_RUNTIME support orcjit jitlink targetparser)

# One precompiled header for every file that sees MLIR (21 s a file without).
add_library(DitPrecompiled STATIC ${PROJECT_SOURCE_DIR}/dialects/Precompiled.cpp)
target_precompile_headers(DitPrecompiled PRIVATE ${PROJECT_SOURCE_DIR}/dialects/Precompiled.h)

function(dit_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
endfunction()

function(dit_mlir_library name)
  dit_library(${name} ${ARGN})
  target_precompile_headers(${name} REUSE_FROM DitPrecompiled)
  # Every generated header exists before any file that may include it.
  add_dependencies(${name} DitGenerated)
endfunction()

function(dit_executable name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} ${DIT_LLVM_RUNTIME} dl pthread)
  if(CMAKE_BUILD_TYPE STREQUAL Release)
    target_link_options(${name} PRIVATE -Wl,-s)
  endif()
endfunction()

function(dit_mlir_executable name)
  dit_executable(${name} ${ARGN})
  # The precompiled header is built with -fPIC; -fPIE would not match it.
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE -fPIC)
  target_precompile_headers(${name} REUSE_FROM DitPrecompiled)
  add_dependencies(${name} DitGenerated)
  target_link_libraries(${name} PRIVATE ${DIT_MLIR_ARCHIVES} ${DIT_LLVM_COMPILER})
endfunction()

function(dit_gtest name)
  cmake_parse_arguments(ARG "MLIR" "" "LINK" ${ARGN})
  if(ARG_MLIR)
    dit_mlir_executable(${name} ${ARG_UNPARSED_ARGUMENTS} LINK ${ARG_LINK} gtest gtest_main)
  else()
    dit_executable(${name} ${ARG_UNPARSED_ARGUMENTS} LINK ${ARG_LINK} gtest gtest_main)
  endif()
  target_compile_options(${name} PRIVATE -Wno-global-constructors)
  add_test(NAME ${name} COMMAND ${name})
endfunction()

# Every tablegen and protobuf target adds itself here.
add_custom_target(DitGenerated)
