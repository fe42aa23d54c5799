//===- CpuDevice.h - A plan on this machine's processor -------------------===//
#ifndef DIT_RUNTIME_DEVICES_CPU_CPUDEVICE_H
#define DIT_RUNTIME_DEVICES_CPU_CPUDEVICE_H

#include "runtime/devices/Device.h"

namespace dit::runtime {

/// A device that runs plans for target cpu on `threads` threads, the calling
/// one included; 0 means all cores this process may use. The numbers it
/// computes do not depend on `threads`.
std::unique_ptr<Device> createCpuDevice(unsigned threads);

} // namespace dit::runtime

#endif // DIT_RUNTIME_DEVICES_CPU_CPUDEVICE_H
