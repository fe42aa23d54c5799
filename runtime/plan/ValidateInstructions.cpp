//===- ValidateInstructions.cpp - Every byte an instruction may touch -----===//
//
// An instruction is legal when the furthest element it addresses lies within
// the place it was given, and the place within its arena or global.
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/Failure.h"
#include "runtime/plan/Shape.h"
#include "runtime/plan/Validate.h"

#include "llvm/ADT/Twine.h"

using namespace dit::plan;
namespace proto = dit::proto;

static llvm::Error malformed(const llvm::Twine &message) {
  return failure(Exit::Malformed, message);
}

namespace {

/// What an instruction does with a place.
enum class Access { Read, Write };

/// A dimension that is walked: how many steps, how far each.
struct Walk {
  int64_t count;
  int64_t stride;
};

/// An operand of an attention: [batch, tokens, heads, dim].
struct AttentionPart {
  llvm::StringRef name;
  const proto::Attention::Operand &operand;
  int64_t tokens, heads, dim;
  Access access;
};

/// Checks the instructions of one function.
class Checker {
public:
  Checker(const proto::Plan &plan, const proto::Function &function)
      : plan(plan), function(function) {}

  llvm::Error check(const proto::Instruction &instruction) const;

private:
  llvm::Error check(const proto::Launch &launch) const;
  llvm::Error check(const proto::Gemm &gemm) const;
  llvm::Error checkEpilogue(const proto::Gemm &gemm) const;
  llvm::Error checkAux(const proto::Gemm &gemm) const;
  llvm::Error checkFlash(const proto::Attention &attention) const;
  llvm::Error checkFlash(const proto::AttentionGrad &gradient) const;
  llvm::Error check(const proto::Attention &attention,
                    Access results = Access::Write) const;
  llvm::Error check(const proto::AttentionGrad &gradient) const;
  llvm::Error check(const proto::Copy &copy) const;
  llvm::Error check(const proto::Fill &fill) const;

  llvm::Error checkPlace(llvm::StringRef name, const proto::Place &place,
                         Access access) const;
  llvm::Error checkReach(llvm::StringRef name, const proto::Place &place,
                         proto::ElementType type,
                         std::initializer_list<Walk> walks,
                         Access access) const;
  llvm::Error checkParts(const proto::Attention &attention,
                         llvm::ArrayRef<AttentionPart> parts) const;

  const proto::Plan &plan;
  const proto::Function &function;
};

} // namespace

static bool lies(uint64_t offset, uint64_t bytes, uint64_t limit) {
  return offset <= limit && bytes <= limit - offset;
}

llvm::Error Checker::checkPlace(llvm::StringRef name, const proto::Place &place,
                                Access access) const {
  if (place.space() == proto::Place::ARENA) {
    if (!lies(place.offset(), place.bytes(), function.arena_bytes()))
      return malformed(name + " reaches past the arena");
    return llvm::Error::success();
  }
  if (place.space() != proto::Place::GLOBAL)
    return malformed(name + " has no place");
  if (place.global() >= static_cast<uint32_t>(plan.globals_size()))
    return malformed(name + " names global " + llvm::Twine(place.global()) +
                     " of " + llvm::Twine(plan.globals_size()));
  const proto::Global &global = plan.globals(place.global());
  if (!lies(place.offset(), place.bytes(), global.bytes()))
    return malformed(name + " reaches past global '" + escaped(global.name()) +
                     "'");
  if (access == Access::Write && global.mapped())
    return malformed(name + " writes global '" + escaped(global.name()) +
                     "', which is mapped read-only");
  return llvm::Error::success();
}

llvm::Error Checker::checkReach(llvm::StringRef name, const proto::Place &place,
                                proto::ElementType type,
                                std::initializer_list<Walk> walks,
                                Access access) const {
  if (llvm::Error error = checkPlace(name, place, access))
    return error;
  int64_t size = elementBytes(elementType(type));
  if (size == 0)
    return malformed(name + " has no element type");
  __int128 last = 0;
  for (const Walk &walk : walks) {
    if (walk.count < 1 || walk.count > largestExtent || walk.stride < 0 ||
        walk.stride > largestExtent)
      return malformed(name + " has an extent or a stride out of range");
    last += static_cast<__int128>(walk.count - 1) * walk.stride;
  }
  if ((last + 1) * size > static_cast<__int128>(place.bytes()))
    return malformed(name + " reaches past its place of " +
                     llvm::Twine(place.bytes()) + " bytes");
  return llvm::Error::success();
}

llvm::Error Checker::check(const proto::Launch &launch) const {
  if (launch.kernel() >= static_cast<uint32_t>(plan.kernels_size()))
    return malformed("kernel " + llvm::Twine(launch.kernel()) + " of " +
                     llvm::Twine(plan.kernels_size()));
  if (launch.blocks() < 0 || launch.blocks() > largestExtent)
    return malformed("the number of blocks is out of range");
  int64_t results = plan.kernels(launch.kernel()).results();
  if (results > launch.operands_size())
    return malformed("the kernel writes " + llvm::Twine(results) + " of " +
                     llvm::Twine(launch.operands_size()) + " operands");
  for (int i = 0; i != launch.operands_size(); ++i) {
    bool isResult = i >= launch.operands_size() - results;
    if (llvm::Error error =
            checkPlace(isResult ? "a result" : "an operand", launch.operands(i),
                       isResult ? Access::Write : Access::Read))
      return error;
  }
  return llvm::Error::success();
}

llvm::Error Checker::check(const proto::Gemm &gemm) const {
  int64_t m = gemm.m(), n = gemm.n(), k = gemm.k();
  for (int64_t extent : {m, n, k, gemm.batch()})
    if (extent < 1 || extent > largestExtent)
      return malformed("m, n, k and batch must be at least 1");
  Walk batchA{gemm.batch(), gemm.stride_a()};
  if (llvm::Error error = checkReach("A", gemm.a(), gemm.a_type(),
                                     {batchA,
                                      {gemm.transpose_a() ? k : m, gemm.lda()},
                                      {gemm.transpose_a() ? m : k, 1}},
                                     Access::Read))
    return error;
  Walk batchB{gemm.batch(), gemm.stride_b()};
  if (gemm.has_packed()) {
    int64_t columns = gemm.packed().columns(), vnni = gemm.packed().vnni();
    if (columns < 1 || columns > 4096 || vnni < 1 || vnni > 8)
      return malformed("the packed layout of B is out of range");
    int64_t rows = (k + vnni - 1) / vnni * vnni;
    if (rows > largestExtent / columns)
      return malformed("B is too large");
    if (llvm::Error error =
            checkReach("B", gemm.b(), gemm.b_type(),
                       {batchB,
                        {(n + columns - 1) / columns, rows * columns},
                        {rows * columns, 1}},
                       Access::Read))
      return error;
  } else if (llvm::Error error =
                 checkReach("B", gemm.b(), gemm.b_type(),
                            {batchB,
                             {gemm.transpose_b() ? n : k, gemm.ldb()},
                             {gemm.transpose_b() ? k : n, 1}},
                            Access::Read)) {
    return error;
  }
  if (llvm::Error error =
          checkReach("C", gemm.c(), gemm.c_type(),
                     {{gemm.batch(), gemm.stride_c()}, {m, gemm.ldc()}, {n, 1}},
                     Access::Write))
    return error;
  return checkEpilogue(gemm);
}

llvm::Error Checker::checkEpilogue(const proto::Gemm &gemm) const {
  if (gemm.activation() < proto::Gemm::IDENTITY ||
      gemm.activation() > proto::Gemm::GELU_TANH_GRAD)
    return malformed("unknown activation " + llvm::Twine(gemm.activation()));
  if (gemm.bias().space() != proto::Place::NONE)
    if (llvm::Error error = checkReach("bias", gemm.bias(), gemm.bias_type(),
                                       {{gemm.n(), 1}}, Access::Read))
      return error;
  if (gemm.gate().space() != proto::Place::NONE) {
    if (gemm.rows_per_gate() < 1 || gemm.rows_per_gate() > largestExtent)
      return malformed("rows_per_gate must be at least 1");
    int64_t rows = (gemm.m() - 1) / gemm.rows_per_gate() + 1;
    if (llvm::Error error = checkReach(
            "gate", gemm.gate(), gemm.gate_type(),
            {{rows, gemm.gate_stride()}, {gemm.n(), 1}}, Access::Read))
      return error;
  }
  if (gemm.residual().space() != proto::Place::NONE)
    if (llvm::Error error =
            checkReach("residual", gemm.residual(), gemm.c_type(),
                       {{gemm.batch(), gemm.stride_c()},
                        {gemm.m(), gemm.residual_stride()},
                        {gemm.n(), 1}},
                       Access::Read))
      return error;
  if (llvm::Error error = checkAux(gemm))
    return error;
  if (gemm.workspace().space() != proto::Place::NONE)
    return checkPlace("workspace", gemm.workspace(), Access::Write);
  return llvm::Error::success();
}

llvm::Error Checker::checkAux(const proto::Gemm &gemm) const {
  bool isRead = gemm.activation() == proto::Gemm::GELU_TANH_GRAD;
  if (gemm.aux().space() == proto::Place::NONE && isRead)
    return malformed("GELU's gradient without aux");
  if (gemm.aux().space() == proto::Place::NONE)
    return llvm::Error::success();
  if (!isRead && gemm.activation() != proto::Gemm::GELU_TANH)
    return malformed("aux without GELU or its gradient");
  return checkReach("aux", gemm.aux(), gemm.c_type(),
                    {{gemm.batch(), gemm.stride_c()},
                     {gemm.m(), gemm.aux_stride()},
                     {gemm.n(), 1}},
                    isRead ? Access::Read : Access::Write);
}

llvm::Error Checker::checkParts(const proto::Attention &attention,
                                llvm::ArrayRef<AttentionPart> parts) const {
  for (const AttentionPart &part : parts)
    if (llvm::Error error =
            checkReach(part.name, part.operand.place(), attention.type(),
                       {{attention.batch(), part.operand.batch_stride()},
                        {part.tokens, part.operand.token_stride()},
                        {part.heads, part.operand.head_stride()},
                        {part.dim, 1}},
                       part.access))
      return error;
  return llvm::Error::success();
}

llvm::Error Checker::check(const proto::Attention &attention,
                           Access results) const {
  int64_t batch = attention.batch(), heads = attention.heads();
  int64_t group = std::max<int64_t>(attention.key_head_group(), 1);
  for (int64_t extent :
       {batch, heads, attention.query_tokens(), attention.key_tokens(),
        attention.head_dim(), attention.value_dim()})
    if (extent < 1 || extent > largestExtent)
      return malformed("batch, heads, tokens and dims must be at least 1");
  if (heads % group != 0)
    return malformed("the heads are not a multiple of key_head_group");
  int64_t queries = attention.query_tokens(), keys = attention.key_tokens();
  if (llvm::Error error =
          checkParts(attention, {{"q", attention.q(), queries, heads,
                                  attention.head_dim(), Access::Read},
                                 {"k", attention.k(), keys, heads / group,
                                  attention.head_dim(), Access::Read},
                                 {"v", attention.v(), keys, heads / group,
                                  attention.value_dim(), Access::Read},
                                 {"output", attention.output(), queries, heads,
                                  attention.value_dim(), results}}))
    return error;
  if (attention.mask().space() != proto::Place::NONE)
    if (llvm::Error error =
            checkReach("mask", attention.mask(), proto::F32,
                       {{batch, attention.mask_batch_stride()},
                        {heads, attention.mask_head_stride()},
                        {queries, attention.mask_query_stride()},
                        {keys, attention.mask_key_stride()}},
                       Access::Read))
      return error;
  if (attention.log_sum_exp().space() != proto::Place::NONE) {
    if (queries > largestExtent / heads)
      return malformed("log_sum_exp is too large");
    if (llvm::Error error = checkReach(
            "log_sum_exp", attention.log_sum_exp(), proto::F32,
            {{batch, heads * queries}, {heads, queries}, {queries, 1}},
            results))
      return error;
  }
  if (attention.workspace().space() != proto::Place::NONE)
    if (llvm::Error error =
            checkPlace("workspace", attention.workspace(), Access::Write))
      return error;
  return attention.has_flash() ? checkFlash(attention) : llvm::Error::success();
}

/// Blocks along an axis of a launch, and bytes of shared memory of one.
static constexpr int64_t largestGrid = 65535, mostSharedBytes = 227 << 10;

/// What our kernel is written for, and what a launch can say.
llvm::Error Checker::checkFlash(const proto::Attention &attention) const {
  const proto::FlashAttention &flash = attention.flash();
  int64_t dim = attention.head_dim(), block = flash.query_block();
  if (attention.type() != proto::BF16 || attention.value_dim() != dim ||
      dim < 48 || dim > 128 || dim % 8 != 0 ||
      attention.mask().space() != proto::Place::NONE ||
      attention.key_head_group() > 1)
    return malformed("our attention kernel is for bf16 heads of 48 to 128 in "
                     "steps of 8, without masks and groups");
  if (flash.symbol().empty() || block < 64 || block > 512 || block % 64 != 0)
    return malformed("our attention kernel has blocks of 64 to 512 queries");
  if (flash.shared_bytes() < 0 || flash.shared_bytes() > mostSharedBytes ||
      attention.batch() > largestGrid || attention.heads() > largestGrid)
    return malformed("our attention kernel cannot be launched so");
  return llvm::Error::success();
}

llvm::Error Checker::check(const proto::AttentionGrad &gradient) const {
  const proto::Attention &forward = gradient.forward();
  if (llvm::Error error = check(forward, Access::Read))
    return error;
  if (forward.log_sum_exp().space() == proto::Place::NONE)
    return malformed("log_sum_exp has no place");
  int64_t heads = forward.heads();
  int64_t keyHeads = heads / std::max<int64_t>(forward.key_head_group(), 1);
  int64_t queries = forward.query_tokens(), keys = forward.key_tokens();
  if (llvm::Error error =
          checkParts(forward, {{"output_grad", gradient.output_grad(), queries,
                                heads, forward.value_dim(), Access::Read},
                               {"query_grad", gradient.query_grad(), queries,
                                heads, forward.head_dim(), Access::Write},
                               {"key_grad", gradient.key_grad(), keys, keyHeads,
                                forward.head_dim(), Access::Write},
                               {"value_grad", gradient.value_grad(), keys,
                                keyHeads, forward.value_dim(), Access::Write}}))
    return error;
  if (gradient.workspace().space() != proto::Place::NONE)
    if (llvm::Error error =
            checkPlace("workspace", gradient.workspace(), Access::Write))
      return error;
  return gradient.has_flash() ? checkFlash(gradient) : llvm::Error::success();
}

/// What our kernel is written for, and what a launch can say.
llvm::Error Checker::checkFlash(const proto::AttentionGrad &gradient) const {
  const proto::Attention &forward = gradient.forward();
  const proto::FlashAttentionGrad &flash = gradient.flash();
  int64_t dim = forward.head_dim(), tokens = forward.query_tokens();
  if (forward.type() != proto::BF16 || forward.value_dim() != dim ||
      (dim != 48 && dim != 64 && dim != 72) || forward.key_tokens() != tokens ||
      (tokens != 64 && tokens != 128 && tokens != 256) ||
      forward.mask().space() != proto::Place::NONE ||
      forward.key_head_group() > 1)
    return malformed("our gradient of attention is for bf16 heads of 48, 64 or "
                     "72 and 64, 128 or 256 tokens, without masks and groups");
  auto isAligned = [](const proto::Attention::Operand &operand) {
    return operand.place().offset() % 16 == 0 &&
           operand.batch_stride() % 8 == 0 && operand.token_stride() % 8 == 0 &&
           operand.head_stride() % 8 == 0;
  };
  for (const proto::Attention::Operand *operand :
       {&forward.q(), &forward.k(), &forward.v(), &forward.output(),
        &gradient.output_grad(), &gradient.query_grad(), &gradient.key_grad(),
        &gradient.value_grad()})
    if (!isAligned(*operand))
      return malformed("our gradient of attention has rows that begin at "
                       "multiples of 16 bytes");
  if (flash.symbol().empty() || flash.threads() != (tokens == 64 ? 128 : 256) ||
      flash.shared_bytes() < 0 || flash.shared_bytes() > mostSharedBytes ||
      forward.batch() > largestGrid || forward.heads() > largestGrid)
    return malformed("our gradient of attention cannot be launched so");
  return llvm::Error::success();
}

llvm::Error Checker::check(const proto::Copy &copy) const {
  if (llvm::Error error = checkPlace("from", copy.from(), Access::Read))
    return error;
  if (llvm::Error error = checkPlace("to", copy.to(), Access::Write))
    return error;
  if (copy.from().bytes() < copy.to().bytes())
    return malformed("from has fewer bytes than to");
  return llvm::Error::success();
}

llvm::Error Checker::check(const proto::Fill &fill) const {
  if (fill.byte() > 255)
    return malformed("the value is no byte");
  return checkPlace("to", fill.to(), Access::Write);
}

llvm::Error Checker::check(const proto::Instruction &instruction) const {
  switch (instruction.kind_case()) {
  case proto::Instruction::kLaunch:
    return check(instruction.launch());
  case proto::Instruction::kGemm:
    return check(instruction.gemm());
  case proto::Instruction::kAttention:
    return check(instruction.attention());
  case proto::Instruction::kAttentionGrad:
    return check(instruction.attention_grad());
  case proto::Instruction::kCopy:
    return check(instruction.copy());
  case proto::Instruction::kFill:
    return check(instruction.fill());
  case proto::Instruction::KIND_NOT_SET:
    return malformed("it is of no kind this ditrun knows");
  }
  llvm_unreachable("protobuf yields only the cases above");
}

llvm::Error dit::plan::validateFunction(const proto::Plan &plan,
                                        const proto::Function &function) {
  Checker checker(plan, function);
  for (int i = 0; i != function.instructions_size(); ++i)
    if (llvm::Error error = checker.check(function.instructions(i)))
      return within(std::move(error),
                    "instruction " + llvm::Twine(i) + " (" +
                        escaped(function.instructions(i).location()) + ")");
  return llvm::Error::success();
}
