//===- Device.cpp - Where a plan runs -------------------------------------===//

#include "runtime/devices/Device.h"

using namespace dit::runtime;

Command::~Command() = default;
Device::~Device() = default;
