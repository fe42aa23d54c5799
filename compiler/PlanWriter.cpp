//===- PlanWriter.cpp - From plan IR to plan.bin --------------------------===//
#include "compiler/PlanWriter.h"

#include "compiler/EncodeInstruction.h"
#include "dialects/plan/PlanDialect.h"
#include "runtime/plan/Failure.h"
#include "runtime/plan/Packing.h"
#include "runtime/plan/Placement.h"
#include "runtime/plan/Writer.h"

#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;
using namespace dit;
using dit::plan::Exit;

static llvm::Error internal(const llvm::Twine &message) {
  return plan::failure(Exit::Internal, message);
}

//===----------------------------------------------------------------------===//
// Globals
//===----------------------------------------------------------------------===//

static proto::Tensor encodeTensor(RankedTensorType type) {
  proto::Tensor tensor;
  tensor.set_type(encodeElementType(type.getElementType()));
  for (int64_t size : type.getShape())
    tensor.add_shape(size);
  return tensor;
}

static proto::Init encodeInit(InitAttr attribute) {
  proto::Init init;
  init.set_kind(static_cast<proto::Init::Kind>(attribute.getKind()));
  init.set_value(attribute.getValue().getValueAsDouble());
  init.set_fan_in(attribute.getFanIn());
  init.set_fan_out(attribute.getFanOut());
  init.set_seed(attribute.getSeed());
  init.set_stream(attribute.getStream());
  return init;
}

static proto::Piece encodePiece(PieceAttr attribute) {
  proto::Piece piece;
  piece.set_name(attribute.getName().str());
  *piece.mutable_file() = encodeTensor(attribute.getFile());
  auto append = [](DenseI64ArrayAttr from, auto *to) {
    to->Add(from.asArrayRef().begin(), from.asArrayRef().end());
  };
  append(attribute.getView(), piece.mutable_view());
  append(attribute.getPermutation(), piece.mutable_permutation());
  append(attribute.getTarget(), piece.mutable_target_view());
  append(attribute.getOffset(), piece.mutable_target_offset());
  if (auto init = dyn_cast<InitAttr>(attribute.getSource()))
    *piece.mutable_init() = encodeInit(init);
  return piece;
}

static llvm::Expected<proto::Global> encodeGlobal(dit::GlobalOp op) {
  auto storage =
      op->getAttrOfType<plan::StorageAttr>(plan::PlanDialect::storageAttrName);
  if (!storage)
    return internal("global '" + op.getSymName() + "' has no place");
  proto::Global global;
  global.set_name(op.getSymName().str());
  global.set_role(static_cast<proto::Global::Role>(op.getRole()));
  *global.mutable_type() = encodeTensor(op.getTensorType());
  for (auto piece : op.getPieces().getAsRange<PieceAttr>())
    *global.add_pieces() = encodePiece(piece);
  global.set_mapped(storage.getMapped());
  global.set_offset(storage.getOffset());
  global.set_bytes(storage.getBytes());
  if (storage.getInitial() >= 0)
    global.set_initial(storage.getInitial());
  if (std::optional<StringRef> flat = op.getFlat())
    global.set_flat(flat->str());
  if (std::optional<PackedAttr> packed = op.getPacked()) {
    global.mutable_packed()->set_columns(packed->getColumns());
    global.mutable_packed()->set_vnni(packed->getVnni());
    plan::PanelLayout fast = plan::fastPanelLayout(
        static_cast<plan::ElementType>(global.type().type()));
    if (packed->getColumns() != fast.columns || packed->getVnni() != fast.vnni)
      return internal("global '" + op.getSymName() +
                      "' is not packed as the GEMM wants it");
  }
  return global;
}

//===----------------------------------------------------------------------===//
// What the module's attributes say
//===----------------------------------------------------------------------===//

static llvm::Error encodeString(ModuleOp module, StringRef name, bool required,
                                std::string *target) {
  auto text = module->getAttrOfType<StringAttr>(name);
  if (!text && required)
    return internal("the module has no '" + name + "'");
  if (text)
    *target = text.getValue().str();
  return llvm::Error::success();
}

static llvm::Error
encodeInterface(ModuleOp module, StringRef name,
                google::protobuf::RepeatedPtrField<proto::Interface> *target) {
  auto entries = module->getAttrOfType<ArrayAttr>(name);
  if (!entries)
    return llvm::Error::success();
  for (Attribute attribute : entries) {
    auto entry = dyn_cast<DictionaryAttr>(attribute);
    auto own = entry ? entry.getAs<StringAttr>("name") : StringAttr();
    auto global = entry ? entry.getAs<StringAttr>("global") : StringAttr();
    if (!own || !global)
      return internal("'" + name + "' is not a list of {name, global}");
    proto::Interface *interface = target->Add();
    interface->set_name(own.getValue().str());
    interface->set_global(global.getValue().str());
  }
  return llvm::Error::success();
}

/// Sets the field `field` of `message`, null where it has none of that name, to
/// `value`; false where it cannot be that.
static bool setField(google::protobuf::Message &message,
                     const google::protobuf::FieldDescriptor *field,
                     Attribute value) {
  using google::protobuf::FieldDescriptor;
  if (!field)
    return false;
  const google::protobuf::Reflection *reflection = message.GetReflection();
  switch (field->cpp_type()) {
  case FieldDescriptor::CPPTYPE_BOOL:
    if (auto flag = dyn_cast<BoolAttr>(value))
      return reflection->SetBool(&message, field, flag.getValue()), true;
    return false;
  case FieldDescriptor::CPPTYPE_INT64:
    if (auto number = dyn_cast<IntegerAttr>(value))
      return reflection->SetInt64(&message, field, number.getInt()), true;
    return false;
  case FieldDescriptor::CPPTYPE_DOUBLE:
    if (auto number = dyn_cast<FloatAttr>(value))
      return reflection->SetDouble(&message, field, number.getValueAsDouble()),
             true;
    return false;
  case FieldDescriptor::CPPTYPE_STRING:
    if (auto text = dyn_cast<StringAttr>(value))
      return reflection->SetString(&message, field, text.getValue().str()),
             true;
    return false;
  default:
    return false;
  }
}

/// The dictionary's names are the message's fields. No dictionary, no message.
template <typename Message>
static llvm::Error encodeFields(ModuleOp module, StringRef attribute,
                                Message *(proto::Plan::*target)(),
                                proto::Plan &encoded) {
  auto fields = module->getAttrOfType<DictionaryAttr>(attribute);
  if (!fields)
    return llvm::Error::success();
  Message *message = (encoded.*target)();
  for (NamedAttribute entry : fields)
    if (!setField(
            *message,
            message->GetDescriptor()->FindFieldByName(entry.getName().str()),
            entry.getValue()))
      return internal("'" + attribute + "' has a field '" +
                      entry.getName().str() + "' that " +
                      message->GetDescriptor()->name() +
                      " has not, or of another kind");
  return llvm::Error::success();
}

static llvm::Error encodeAttributes(ModuleOp module, proto::Plan &encoded) {
  for (auto [name, required, target] :
       {std::tuple<StringRef, bool, std::string *>{"dit.mode", true,
                                                   encoded.mutable_mode()},
        {"dit.precision", true, encoded.mutable_precision()},
        {"dit.model", false, encoded.mutable_model()}})
    if (llvm::Error error = encodeString(module, name, required, target))
      return error;
  if (llvm::Error error =
          encodeInterface(module, "dit.inputs", encoded.mutable_inputs()))
    return error;
  if (llvm::Error error =
          encodeInterface(module, "dit.outputs", encoded.mutable_outputs()))
    return error;
  if (llvm::Error error = encodeFields(module, "dit.sampling",
                                       &proto::Plan::mutable_sampling, encoded))
    return error;
  return encodeFields(module, "dit.training", &proto::Plan::mutable_training,
                      encoded);
}

//===----------------------------------------------------------------------===//
// The plan
//===----------------------------------------------------------------------===//

static void encodeKernel(plan::KernelOp op, proto::Kernel *kernel) {
  kernel->set_symbol(op.getSymName().str());
  kernel->set_description(op.getName().str());
  kernel->set_bytes_moved(op.getBytesMoved());
  kernel->set_flops(op.getFlops());
  kernel->set_results(op.getResultTypes().size());
}

static void encodeFunction(plan::FunctionOp op, const PlanIndices &indices,
                           proto::Function *function) {
  function->set_name(op.getSymName().str());
  function->set_step(op.getStep().str());
  function->set_arena_bytes(op.getArenaBytes().value_or(0));
  function->set_flops(op.getFlops());
  for (auto instruction : op.getOps<plan::InstructionInterface>())
    *function->add_instructions() = encodeInstruction(instruction, indices);
}

/// How GPUs launch the kernels.
static void encodeLaunches(llvm::ArrayRef<codegen::GpuKernel> launches,
                           proto::Plan &encoded) {
  for (auto [kernel, launch] :
       llvm::zip_equal(*encoded.mutable_kernels(), launches)) {
    kernel.set_threads(launch.threads);
    kernel.set_shared_bytes(launch.sharedBytes);
    kernel.set_waits_itself(launch.waitsItself);
  }
  for (proto::Function &function : *encoded.mutable_functions())
    for (proto::Instruction &instruction : *function.mutable_instructions())
      if (instruction.has_launch())
        instruction.mutable_launch()->set_blocks(
            launches[instruction.launch().kernel()].blocks);
}

static constexpr uint64_t imageAlignment = 16;

static void encodeImages(llvm::ArrayRef<CodeImage> images,
                         proto::Plan &encoded) {
  uint64_t offset = 0;
  for (const CodeImage &image : images) {
    proto::Image *entry = encoded.add_images();
    entry->set_kind(image.kind);
    entry->set_arch(image.arch);
    entry->set_offset(offset);
    entry->set_bytes(image.code.size());
    entry->set_part(image.part);
    offset = llvm::alignTo(offset + image.code.size(), imageAlignment);
  }
}

std::string dit::joinImages(llvm::ArrayRef<CodeImage> images) {
  std::string joined;
  for (const CodeImage &image : images) {
    joined.resize(llvm::alignTo(joined.size(), imageAlignment));
    joined += image.code;
  }
  return joined;
}

static int64_t getTotal(ModuleOp module, StringRef name) {
  auto total = module->getAttrOfType<IntegerAttr>(name);
  return total ? total.getInt() : 0;
}

llvm::Expected<proto::Plan> dit::encodePlan(ModuleOp module,
                                            const PlanProvenance &provenance) {
  proto::Plan encoded;
  encoded.set_ditc_version(provenance.version);
  for (const std::string &flag : provenance.flags)
    encoded.add_flags(flag);
  encoded.set_input_hash(provenance.inputHash);
  proto::Target *target = encoded.mutable_target();
  bool isForGpu = !provenance.images.empty();
  target->set_kind(isForGpu ? "cuda" : "cpu");
  target->set_cpu(provenance.cpu);
  for (const std::string &feature : provenance.features)
    target->add_features(feature);
  target->set_world_size(1);
  if (llvm::Error error = encodeAttributes(module, encoded))
    return std::move(error);

  PlanIndices indices;
  for (auto op : module.getOps<dit::GlobalOp>()) {
    llvm::Expected<proto::Global> global = encodeGlobal(op);
    if (!global)
      return global.takeError();
    indices.globals[op.getSymNameAttr()] = encoded.globals_size();
    *encoded.add_globals() = std::move(*global);
  }
  for (auto op : module.getOps<plan::KernelOp>()) {
    indices.kernels[op.getSymNameAttr()] = encoded.kernels_size();
    encodeKernel(op, encoded.add_kernels());
  }
  for (auto op : module.getOps<plan::FunctionOp>())
    encodeFunction(op, indices, encoded.add_functions());
  if (isForGpu) {
    encodeLaunches(provenance.launches, encoded);
    encodeImages(provenance.images, encoded);
  }
  encoded.set_globals_bytes(
      getTotal(module, plan::PlanDialect::globalsBytesAttrName));
  encoded.set_arena_bytes(
      getTotal(module, plan::PlanDialect::arenaBytesAttrName));
  return encoded;
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

/// The bytes of a piece's values as the file has them. Where the attribute
/// does not hold them so they go to `storage`.
static llvm::Expected<llvm::ArrayRef<uint8_t>>
getValues(PieceAttr piece, std::vector<uint8_t> &storage) {
  auto asBytes = [](ArrayRef<char> data) {
    return llvm::ArrayRef(reinterpret_cast<const uint8_t *>(data.data()),
                          data.size());
  };
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(piece.getSource())) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob)
      return internal("the values of '" + piece.getName() + "' are gone");
    return asBytes(blob->getData());
  }
  auto dense = dyn_cast<DenseElementsAttr>(piece.getSource());
  if (!dense)
    return internal("'" + piece.getName() + "' has no values");
  storage.clear();
  if (dense.getElementType().isInteger(1)) {
    for (bool value : dense.getValues<bool>())
      storage.push_back(value);
    return llvm::ArrayRef<uint8_t>(storage);
  }
  llvm::ArrayRef<uint8_t> raw = asBytes(dense.getRawData());
  if (!dense.isSplat())
    return raw;
  for (int64_t i = 0; i < dense.getNumElements(); ++i)
    storage.insert(storage.end(), raw.begin(), raw.end());
  return llvm::ArrayRef<uint8_t>(storage);
}

static llvm::Error streamGlobal(dit::GlobalOp op, const proto::Global &global,
                                plan::WeightSink sink) {
  std::vector<uint8_t> storage;
  auto pieces = op.getPieces().getAsRange<PieceAttr>();
  auto next = pieces.begin();
  llvm::Expected<std::vector<uint8_t>> bytes =
      plan::assembleGlobal(global, [&](const proto::Piece &) {
        return getValues(*next++, storage);
      });
  if (!bytes)
    return plan::within(bytes.takeError(), "global '" + op.getSymName() + "'");
  return sink(*bytes);
}

/// The values that a plan has: of what is mapped, then the first ones of what
/// is in memory. Each in the order of their offsets, which is the module's.
static llvm::Error streamWeights(ModuleOp module, const proto::Plan &encoded,
                                 uint64_t total, plan::WeightSink sink) {
  uint64_t written = 0;
  auto pad = [&](uint64_t offset) {
    std::vector<uint8_t> zeros(offset - written);
    written = offset;
    return sink(zeros);
  };
  for (bool initial : {false, true})
    for (auto [op, global] :
         llvm::zip(module.getOps<dit::GlobalOp>(), encoded.globals())) {
      if (initial ? !global.has_initial() : !global.mapped())
        continue;
      if (llvm::Error error = pad(initial ? global.initial() : global.offset()))
        return error;
      if (llvm::Error error = streamGlobal(op, global, sink))
        return error;
      written += global.bytes();
    }
  return pad(total);
}

llvm::Error dit::writePlanFile(StringRef path, ModuleOp module,
                               const proto::Plan &encoded,
                               llvm::ArrayRef<uint8_t> code) {
  uint64_t total = getTotal(module, plan::PlanDialect::weightsBytesAttrName);
  return plan::writePlan(path, encoded, code, total,
                         [&](plan::WeightSink sink) {
                           return streamWeights(module, encoded, total, sink);
                         });
}
