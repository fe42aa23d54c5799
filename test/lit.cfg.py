import os
import shutil
import sys

import lit.formats
from lit.llvm import llvm_config

config.name = "dit"
config.test_format = lit.formats.ShTest(not llvm_config.use_lit_shell)
config.suffixes = [".mlir", ".test"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.dit_obj_root, "test")
config.excludes = ["fixtures"]
root = os.path.dirname(config.test_source_root)
config.substitutions.append(("%src_root", root))
config.substitutions.append(("%fixtures", os.path.join(root, "test", "fixtures")))
config.substitutions.append(("%models", os.path.join(root, "models")))

# `%exits N command`: the command must end with exit code N; its output goes on.
config.substitutions.append(("%exits", "%python " + os.path.join(config.test_source_root, "expect_exit.py")))
config.substitutions.append(("%python", sys.executable))
# NVIDIA's assembler, where CUDA's toolkit is installed.
ptxas = shutil.which("ptxas") or shutil.which("/usr/local/cuda/bin/ptxas")
if ptxas:
    config.available_features.add("ptxas")
    config.substitutions.append(("%ptxas", ptxas))
# The folder of our binaries, for scripts that also run without a build.
config.substitutions.append(("%bin", config.dit_bin_dir))
tools = ["dit-opt", "ditc", "ditrun", "make-hand-plan", "emit-ptx", "FileCheck", "not", "split-file", "count"]
tool_dirs = [config.dit_bin_dir, config.llvm_tools_dir]
llvm_config.add_tool_substitutions(tools, tool_dirs)
