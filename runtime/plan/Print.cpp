//===- Print.cpp - A plan as text -----------------------------------------===//

#include "runtime/plan/Print.h"

#include "runtime/plan/Failure.h"
#include "runtime/plan/Memory.h"
#include "runtime/plan/Shape.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"

using namespace dit;
using namespace dit::plan;

static std::string typeName(proto::ElementType type) {
  return elementName(elementType(type));
}

/// "@arena[512, +98304]" or "@name[0, +64]": where, from, how many bytes.
static std::string printPlace(const proto::Plan &plan,
                              const proto::Place &place) {
  if (place.space() == proto::Place::NONE)
    return "none";
  std::string name = place.space() == proto::Place::ARENA
                         ? "arena"
                         : escaped(plan.globals(place.global()).name());
  return "@" + name + "[" + std::to_string(place.offset()) + ", +" +
         std::to_string(place.bytes()) + "]";
}

static void printGemm(const proto::Plan &plan, const proto::Gemm &gemm,
                      llvm::raw_ostream &os) {
  static constexpr const char *activations[] = {"", " gelu_tanh", " gelu_erf",
                                                " silu", " gelu_tanh_grad"};
  os << "gemm " << gemm.m() << "x" << gemm.n() << "x" << gemm.k();
  if (gemm.batch() > 1)
    os << " batch " << gemm.batch() << " strides " << gemm.stride_a() << ","
       << gemm.stride_b() << "," << gemm.stride_c();
  os << " A " << typeName(gemm.a_type()) << (gemm.transpose_a() ? "^T " : " ")
     << printPlace(plan, gemm.a()) << " ld " << gemm.lda() << " B "
     << typeName(gemm.b_type());
  if (gemm.has_packed())
    os << " packed " << gemm.packed().columns() << "/" << gemm.packed().vnni()
       << " " << printPlace(plan, gemm.b());
  else
    os << (gemm.transpose_b() ? "^T " : " ") << printPlace(plan, gemm.b())
       << " ld " << gemm.ldb();
  os << " C " << typeName(gemm.c_type()) << " " << printPlace(plan, gemm.c())
     << " ld " << gemm.ldc();
  if (gemm.beta() != 0)
    os << " beta " << gemm.beta();
  if (gemm.bias().space() != proto::Place::NONE)
    os << " bias " << typeName(gemm.bias_type()) << " "
       << printPlace(plan, gemm.bias());
  os << activations[gemm.activation()];
  if (gemm.gate().space() != proto::Place::NONE)
    os << " gate " << typeName(gemm.gate_type()) << " "
       << printPlace(plan, gemm.gate()) << " ld " << gemm.gate_stride()
       << " each " << gemm.rows_per_gate() << " rows";
  if (gemm.residual().space() != proto::Place::NONE)
    os << " residual " << printPlace(plan, gemm.residual()) << " ld "
       << gemm.residual_stride();
  if (gemm.aux().space() != proto::Place::NONE)
    os << " aux " << printPlace(plan, gemm.aux()) << " ld "
       << gemm.aux_stride();
  if (gemm.workspace().space() != proto::Place::NONE)
    os << " workspace " << printPlace(plan, gemm.workspace());
}

static void printOperand(const proto::Plan &plan, const char *name,
                         const proto::Attention::Operand &operand,
                         llvm::raw_ostream &os) {
  os << " " << name << " " << printPlace(plan, operand.place()) << " strides "
     << operand.batch_stride() << "," << operand.token_stride() << ","
     << operand.head_stride();
}

static void printAttention(const proto::Plan &plan,
                           const proto::Attention &attention,
                           llvm::raw_ostream &os) {
  os << "attention " << typeName(attention.type()) << " batch "
     << attention.batch() << " heads " << attention.heads() << " tokens "
     << attention.query_tokens() << "x" << attention.key_tokens() << " dims "
     << attention.head_dim() << "," << attention.value_dim() << " scale "
     << attention.scale();
  if (attention.key_head_group() > 1)
    os << " queries a key head " << attention.key_head_group();
  const std::pair<const char *, const proto::Attention::Operand &> parts[] = {
      {"q", attention.q()},
      {"k", attention.k()},
      {"v", attention.v()},
      {"output", attention.output()}};
  for (const auto &[name, operand] : parts)
    printOperand(plan, name, operand, os);
  if (attention.mask().space() != proto::Place::NONE)
    os << " mask " << printPlace(plan, attention.mask()) << " strides "
       << attention.mask_batch_stride() << "," << attention.mask_head_stride()
       << "," << attention.mask_query_stride() << ","
       << attention.mask_key_stride();
  if (attention.log_sum_exp().space() != proto::Place::NONE)
    os << " log_sum_exp " << printPlace(plan, attention.log_sum_exp());
  if (attention.workspace().space() != proto::Place::NONE)
    os << " workspace " << printPlace(plan, attention.workspace());
}

static void printAttentionGrad(const proto::Plan &plan,
                               const proto::AttentionGrad &gradient,
                               llvm::raw_ostream &os) {
  os << "gradient of ";
  printAttention(plan, gradient.forward(), os);
  printOperand(plan, "output_grad", gradient.output_grad(), os);
  printOperand(plan, "query_grad", gradient.query_grad(), os);
  printOperand(plan, "key_grad", gradient.key_grad(), os);
  printOperand(plan, "value_grad", gradient.value_grad(), os);
  if (gradient.workspace().space() != proto::Place::NONE)
    os << " workspace " << printPlace(plan, gradient.workspace());
}

void dit::plan::printInstruction(const proto::Plan &plan,
                                 const proto::Instruction &instruction,
                                 llvm::raw_ostream &os) {
  switch (instruction.kind_case()) {
  case proto::Instruction::kLaunch: {
    const proto::Launch &launch = instruction.launch();
    os << "launch " << escaped(plan.kernels(launch.kernel()).symbol())
       << " blocks " << launch.blocks();
    for (const proto::Place &place : launch.operands())
      os << " " << printPlace(plan, place);
    break;
  }
  case proto::Instruction::kGemm:
    printGemm(plan, instruction.gemm(), os);
    break;
  case proto::Instruction::kAttention:
    printAttention(plan, instruction.attention(), os);
    break;
  case proto::Instruction::kAttentionGrad:
    printAttentionGrad(plan, instruction.attention_grad(), os);
    break;
  case proto::Instruction::kCopy:
    os << "copy " << printPlace(plan, instruction.copy().from()) << " to "
       << printPlace(plan, instruction.copy().to());
    break;
  case proto::Instruction::kFill:
    os << "fill " << printPlace(plan, instruction.fill().to()) << " with "
       << instruction.fill().byte();
    break;
  case proto::Instruction::KIND_NOT_SET:
    os << "unknown";
    break;
  }
  if (!instruction.location().empty())
    os << "  // " << escaped(instruction.location());
}

static void printInit(const proto::Init &init, llvm::raw_ostream &os) {
  os << " init "
     << llvm::StringRef(proto::Init::Kind_Name(init.kind())).lower();
  if (init.kind() == proto::Init::CONSTANT ||
      init.kind() == proto::Init::NORMAL)
    os << "(" << init.value() << ")";
  if (init.kind() == proto::Init::XAVIER_UNIFORM)
    os << "(" << init.fan_in() << ", " << init.fan_out() << ")";
  if (init.kind() == proto::Init::NORMAL ||
      init.kind() == proto::Init::XAVIER_UNIFORM)
    os << " seed " << init.seed() << " stream " << init.stream();
}

static void printGlobal(const proto::Global &global, llvm::raw_ostream &os) {
  os << "  @" << escaped(global.name()) << " "
     << llvm::StringRef(proto::Global::Role_Name(global.role())).lower() << " "
     << printTensor(global.type()) << (global.mapped() ? " weights[" : " [")
     << global.offset() << ", +" << global.bytes() << "]";
  if (global.has_packed())
    os << " packed " << global.packed().columns() << "/"
       << global.packed().vnni();
  if (!global.flat().empty())
    os << " within @" << escaped(global.flat());
  if (global.has_initial())
    os << " first weights[" << global.initial() << "]";
  os << "\n";
  for (const proto::Piece &piece : global.pieces()) {
    os << "    '" << escaped(piece.name()) << "' " << printTensor(piece.file())
       << " view " << printShape(dimensions(piece.view())) << " permuted "
       << printShape(dimensions(piece.permutation())) << " at "
       << printShape(dimensions(piece.target_offset())) << " of "
       << printShape(dimensions(piece.target_view()));
    if (piece.has_init())
      printInit(piece.init(), os);
    os << "\n";
  }
}

static void printSampling(const proto::Sampling &s, llvm::raw_ostream &os) {
  os << "sampling\n  " << s.batch() << " pictures of " << s.channels() << " x "
     << s.height() << " x " << s.width() << ", " << s.classes()
     << " classes, prediction " << escaped(s.prediction()) << ", schedule "
     << escaped(s.schedule()) << (s.learned_sigma() ? ", learned sigma" : "")
     << ", guidance of " << s.default_cfg_channels() << " channels, at most "
     << s.max_steps() << " steps";
  if (s.hoist_steps())
    os << ", prologue every " << s.hoist_steps();
  os << "\n";
  const std::pair<const char *, const std::string &> names[] = {
      {"latent", s.latent()},
      {"labels", s.labels()},
      {"pictures", s.pictures()},
      {"seed", s.seed()},
      {"step", s.step()},
      {"timesteps", s.timesteps()},
      {"coefficients", s.coefficients()},
      {"guidance", s.guidance()},
      {"noise", s.noise()},
      {"use_noise", s.use_noise()},
      {"model_output", s.model_output()}};
  for (const auto &[field, name] : names)
    if (!name.empty())
      os << "  " << field << " @" << escaped(name) << "\n";
}

static void printTraining(const proto::Training &t, llvm::raw_ostream &os) {
  os << "training\n  " << t.batch() << " pictures of " << t.channels() << " x "
     << t.height() << " x " << t.width() << ", " << t.classes()
     << " classes, prediction " << escaped(t.prediction()) << ", schedule "
     << escaped(t.schedule()) << (t.learned_sigma() ? ", learned sigma" : "")
     << ", " << t.timesteps() << " timesteps";
  if (!t.timestep_sampling().empty())
    os << ", t " << escaped(t.timestep_sampling());
  if (t.min_snr() > 0)
    os << llvm::format(", min-SNR %g", t.min_snr());
  os << "\n  " << escaped(t.optimizer())
     << llvm::format(", learning rate %g, betas %g %g, eps %g, weight decay "
                     "%g, clip %g, ema %g, label dropout %g\n",
                     t.learning_rate(), t.beta1(), t.beta2(), t.epsilon(),
                     t.weight_decay(), t.clip(), t.ema_decay(),
                     t.label_dropout());
  const google::protobuf::Descriptor *fields = t.GetDescriptor();
  const google::protobuf::FieldDescriptor *first =
      fields->FindFieldByName("pictures");
  const google::protobuf::FieldDescriptor *last =
      fields->FindFieldByName("weights");
  for (int i = first->index(); i <= last->index(); ++i) {
    std::string name = t.GetReflection()->GetString(t, fields->field(i));
    if (!name.empty())
      os << "  " << fields->field(i)->name() << " @" << escaped(name) << "\n";
  }
}

void dit::plan::printPlan(const PlanView &view, llvm::raw_ostream &os) {
  const proto::Plan &plan = view.metadata;
  auto quoted = [](const std::string &text) { return escaped(text); };
  os << "plan " << view.hash << "\n  model " << escaped(plan.model())
     << "\n  mode " << escaped(plan.mode()) << ", precision "
     << escaped(plan.precision()) << "\n  made by ditc "
     << escaped(plan.ditc_version()) << " "
     << llvm::join(llvm::map_range(plan.flags(), quoted), " ")
     << "\n  from input " << escaped(plan.input_hash()) << "\n  for "
     << escaped(plan.target().kind()) << " " << escaped(plan.target().cpu())
     << ", needs "
     << llvm::join(llvm::map_range(plan.target().features(), quoted), ",")
     << "\n\nmemory\n"
     << printMemoryTable(plan) << "\nsections\n  metadata, code "
     << view.code.size() << " bytes, weights " << view.weights.size()
     << " bytes\n";
  for (const proto::Image &image : plan.images())
    os << "  " << escaped(image.arch())
       << (image.kind() == proto::Image::CUBIN ? " machine code " : " PTX ")
       << image.bytes() << " bytes\n";
  os << "\n";
  for (bool output : {false, true})
    for (const proto::Interface &entry :
         output ? plan.outputs() : plan.inputs())
      os << (output ? "output '" : "input '") << escaped(entry.name()) << "' @"
         << escaped(entry.global()) << "\n";
  if (plan.has_sampling())
    printSampling(plan.sampling(), os);
  if (plan.has_training())
    printTraining(plan.training(), os);
  os << "\nglobals (" << plan.globals_size() << ")\n";
  for (const proto::Global &global : plan.globals())
    printGlobal(global, os);
  os << "\nkernels (" << plan.kernels_size() << ")\n";
  for (const proto::Kernel &kernel : plan.kernels())
    os << "  " << escaped(kernel.symbol()) << "  " << kernel.flops()
       << " flops, " << kernel.bytes_moved() << " bytes  // "
       << escaped(kernel.description()) << "\n";
  for (const proto::Function &function : plan.functions()) {
    os << "\nfunction " << escaped(function.name()) << " step '"
       << escaped(function.step()) << "' arena " << function.arena_bytes()
       << " bytes, " << function.flops() << " flops\n";
    for (const auto &[i, instruction] :
         llvm::enumerate(function.instructions())) {
      os << "  " << i << ": ";
      printInstruction(plan, instruction, os);
      os << "\n";
    }
  }
}
