//===- KernelHarness.cpp - Compile a kernel's text, load it, run it -------===//
#include "test/compiler/codegen/KernelHarness.h"

#include "mlir/Parser/Parser.h"
#include "test/compiler/codegen/Reference.h"
#include "test/compiler/codegen/gpu/GpuCase.h"
#include "llvm/ExecutionEngine/JITLink/JITLinkMemoryManager.h"
#include "llvm/ExecutionEngine/Orc/ExecutionUtils.h"
#include "llvm/ExecutionEngine/Orc/SelfExecutorProcessControl.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace dit;
using namespace dit::codegen;

static constexpr size_t guardBytes = 256;
static constexpr char guardByte = 0x5a;

Memory::Memory(size_t bytes)
    : bytes(bytes), storage(bytes + 64 + guardBytes, guardByte) {}

char *Memory::start() {
  auto address = reinterpret_cast<uintptr_t>(storage.data());
  return storage.data() + (64 - address % 64) % 64;
}

bool Memory::isIntact() {
  const char *end = start() + bytes;
  return std::all_of(end, end + guardBytes - 64,
                     [](char byte) { return byte == guardByte; });
}

std::vector<float> codegen::randomFloats(size_t count, unsigned seed, float low,
                                         float high) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> distribution(low, high);
  std::vector<float> values(count);
  for (float &value : values)
    value = distribution(generator);
  return values;
}

uint16_t codegen::toBf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}

float codegen::fromBf16(uint16_t half) {
  uint32_t bits = uint32_t(half) << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

static size_t byteSize(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  return tensor.getNumElements() *
         std::max(1u, tensor.getElementTypeBitWidth() / 8);
}

CompiledKernel::CompiledKernel(const std::string &kernel,
                               const std::string &cpu, int64_t rowsPerBlock) {
  context.loadDialect<DitDialect, arith::ArithDialect, func::FuncDialect,
                      math::MathDialect, tensor::TensorDialect>();
  // The function's arguments have the types that the kernel names.
  size_t colon = kernel.find(") : (");
  size_t close = kernel.find(") ->", colon);
  std::string list = kernel.substr(colon + 5, close - colon - 5), arguments;
  for (size_t at = 0, number = 0; at < list.size(); ++number) {
    size_t end = list.find(", ", at);
    end = end == std::string::npos ? list.size() : end;
    arguments += (number ? ", %x" : "%x") + std::to_string(number) + ": " +
                 list.substr(at, end - at);
    at = end + 2;
  }
  // Type aliases go before the function, "%0 = " before the op's name.
  size_t space = kernel.find("space = ");
  size_t names = kernel.rfind('%', space);
  std::string text = kernel.substr(0, names) + "func.func @f(" + arguments +
                     ") {\n  " + kernel.substr(names, space - names) +
                     "dit.kernel \"test\" " + kernel.substr(space) +
                     "\n  return\n}\n";
  module = parseSourceString<ModuleOp>(text, &context);
  if (!module) {
    ADD_FAILURE() << "cannot parse\n" << text;
    return;
  }
  KernelOp op;
  module->walk([&](KernelOp found) { op = found; });
  for (Type type : op->getOperandTypes())
    types.push_back(type);
  inputCount = types.size();
  for (Type type : op->getResultTypes())
    types.push_back(type);
  for (Type type : types)
    operands.emplace_back(byteSize(type));
  int64_t rows = 1;
  for (int64_t size : op.getSpace().drop_back())
    rows *= size;
  blockCount = (rows + rowsPerBlock - 1) / rowsPerBlock;

  auto target = CpuTarget::resolve(cpu);
  if (!target) {
    ADD_FAILURE() << llvm::toString(target.takeError());
    return;
  }
  body = &op.getBody();
  iterationSpace = op.getSpace();
  isForGpu = cpu == "native";
  KernelSource source{body, iterationSpace, rowsPerBlock, "kernel"};
  auto object = emitObject(context, source, *target);
  if (!object) {
    ADD_FAILURE() << llvm::toString(object.takeError());
    return;
  }
  llvm::ExitOnError check;
  session = std::make_unique<llvm::orc::ExecutionSession>(
      check(llvm::orc::SelfExecutorProcessControl::Create()));
  layer = std::make_unique<llvm::orc::ObjectLinkingLayer>(
      *session, check(llvm::jitlink::InProcessMemoryManager::Create()));
  llvm::orc::JITDylib &library = session->createBareJITDylib("kernels");
  auto buffer = llvm::MemoryBuffer::getMemBufferCopy(
      llvm::StringRef(object->data(), object->size()));
  check(layer->add(library, std::move(buffer)));
  auto symbol = check(session->lookup({&library}, session->intern("kernel")));
  function =
      symbol.getAddress().toPtr<void (*)(void *const *, int64_t, int64_t)>();
}

CompiledKernel::~CompiledKernel() {
  if (session)
    llvm::cantFail(session->endSession());
}

void CompiledKernel::fill(size_t index, llvm::ArrayRef<float> values) {
  Type element = cast<RankedTensorType>(types[index]).getElementType();
  ASSERT_EQ(byteSize(types[index]),
            values.size() * std::max(1u, element.getIntOrFloatBitWidth() / 8));
  Memory &memory = operands[index];
  for (auto [i, value] : llvm::enumerate(values)) {
    if (element.isF32())
      memory.as<float>()[i] = value;
    else if (element.isBF16())
      memory.as<uint16_t>()[i] = toBf16(value);
    else if (element.isF16())
      memory.as<_Float16>()[i] = static_cast<_Float16>(value);
    else if (element.isF64())
      memory.as<double>()[i] = value;
    else if (element.isInteger(64))
      memory.as<int64_t>()[i] = static_cast<int64_t>(value);
    else if (element.isInteger(32))
      memory.as<int32_t>()[i] = static_cast<int32_t>(value);
    else
      memory.as<int8_t>()[i] = static_cast<int8_t>(value);
  }
}

std::vector<double> CompiledKernel::numbers(size_t index) {
  auto type = cast<RankedTensorType>(types[index]);
  Type element = type.getElementType();
  Memory &memory = operands[index];
  std::vector<double> values;
  for (int64_t i = 0; i < type.getNumElements(); ++i) {
    if (element.isF32())
      values.push_back(memory.as<float>()[i]);
    else if (element.isBF16())
      values.push_back(fromBf16(memory.as<uint16_t>()[i]));
    else if (element.isF16())
      values.push_back(static_cast<double>(memory.as<_Float16>()[i]));
    else if (element.isF64())
      values.push_back(memory.as<double>()[i]);
    else if (element.isInteger(64))
      values.push_back(static_cast<double>(memory.as<int64_t>()[i]));
    else if (element.isInteger(32))
      values.push_back(memory.as<int32_t>()[i]);
    else
      values.push_back(memory.as<int8_t>()[i]);
  }
  return values;
}

void CompiledKernel::fillRandomly(unsigned seed, float low, float high) {
  for (size_t i = 0; i < inputCount; ++i) {
    auto type = cast<RankedTensorType>(types[i]);
    Type element = type.getElementType();
    bool isFloat = isa<FloatType>(element);
    std::vector<float> values =
        randomFloats(type.getNumElements(), seed + i,
                     isFloat ? low : (element.isInteger(1) ? 0.0f : -2.0f),
                     isFloat ? high : (element.isInteger(1) ? 2.0f : 11.0f));
    if (!isFloat)
      for (float &value : values)
        value = std::floor(value);
    fill(i, values);
  }
}

void CompiledKernel::check(double tolerance) {
  if (!function)
    return;
  std::vector<Numbers> inputs;
  for (size_t i = 0; i < inputCount; ++i)
    inputs.push_back(numbers(i));
  std::vector<Numbers> expected = evaluate(*body, inputs), whole;
  checkGpu(expected, tolerance);
  run();
  for (size_t i = 0; i < expected.size(); ++i) {
    whole.push_back(result(i));
    double difference = worstDifference(whole[i], expected[i]);
    EXPECT_TRUE(difference <= tolerance)
        << "result " << i << " differs by " << difference;
  }
  run(1);
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_EQ(whole[i], result(i)) << "bits depend on how blocks are split";
}

void CompiledKernel::checkGpu(llvm::ArrayRef<Numbers> expected,
                              double tolerance) {
  if (!isForGpu)
    return;
  KernelSource source{body, iterationSpace, 1, "kernel"};
  auto code =
      emitPtx(context, source, llvm::cantFail(GpuTarget::resolve("sm_80")));
  if (!code) {
    ADD_FAILURE() << llvm::toString(code.takeError());
    return;
  }
  EXPECT_EQ(code->ptx.find(".extern"), std::string::npos);
  const char *folder = getenv("DIT_GPU_CASES");
  if (!folder)
    return;
  std::vector<GpuOperand> all;
  for (size_t i = 0; i < operands.size(); ++i) {
    bool isInput = i < inputCount;
    all.push_back(
        {cast<RankedTensorType>(types[i]),
         isInput ? llvm::StringRef(operands[i].start(), operands[i].size())
                 : llvm::StringRef(),
         isInput ? llvm::ArrayRef<double>()
                 : llvm::ArrayRef(expected[i - inputCount])});
  }
  static int count = 0;
  auto *test = testing::UnitTest::GetInstance()->current_test_info();
  std::string name = test->name();
  std::replace(name.begin(), name.end(), '/', '-');
  std::string path =
      std::string(folder) + "/" + name + "-" + std::to_string(count++);
  if (llvm::Error error = writeGpuCase(path, *code, source, all, tolerance))
    ADD_FAILURE() << llvm::toString(std::move(error));
}

void CompiledKernel::runBlocks(int64_t begin, int64_t end) {
  if (!function)
    return;
  std::vector<void *> addresses;
  for (Memory &memory : operands)
    addresses.push_back(memory.start());
  function(addresses.data(), begin, end);
}

void CompiledKernel::runInPlace(size_t input, size_t result) {
  std::vector<void *> addresses;
  for (Memory &memory : operands)
    addresses.push_back(memory.start());
  addresses[inputCount + result] = addresses[input];
  function(addresses.data(), 0, blockCount);
}

void CompiledKernel::run(int64_t step) {
  for (size_t i = inputCount; i < operands.size(); ++i)
    memset(operands[i].start(), 0xff, operands[i].size());
  step = step ? step : blockCount;
  for (int64_t block = 0; block < blockCount; block += step)
    runBlocks(block, std::min(block + step, blockCount));
  for (Memory &memory : operands)
    EXPECT_TRUE(memory.isIntact()) << "written behind an operand";
}

double codegen::worstDifference(llvm::ArrayRef<double> a,
                                llvm::ArrayRef<double> b) {
  EXPECT_EQ(a.size(), b.size());
  double worst = 0;
  for (auto [x, y] : llvm::zip(a, b)) {
    double difference = std::fabs(x - y) / (1 + std::fabs(y));
    worst = difference <= worst ? worst : difference;
    if (std::isnan(difference))
      return difference;
  }
  return worst;
}
