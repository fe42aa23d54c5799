//===- Precompiled.cpp - The file that the precompiled header is built for ===//
