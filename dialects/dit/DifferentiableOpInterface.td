//===- DifferentiableOpInterface.td - Ops with a gradient -*- tablegen -*-===//
#ifndef DIT_DIFFERENTIABLEOPINTERFACE_TD
#define DIT_DIFFERENTIABLEOPINTERFACE_TD

include "mlir/IR/OpBase.td"

def DifferentiableOpInterface : OpInterface<"DifferentiableOpInterface"> {
  let cppNamespace = "::dit";
  let description = [{
    An op that knows its vector-Jacobian product: what the cotangents of its
    results (the loss's derivatives by them) say about its operands. Rules of
    dit ops are in DifferentiableDitOps.cpp, those of arith, math and tensor in
    DifferentiableUpstreamOps.cpp. Ops whose operands are integers, and constants
    need none: integers have no cotangent.
  }];
  let methods = [
    InterfaceMethod<[{
        Adds to `cotangents` what this op's results contribute to its operands.
        Called once, after every user of the results; at least one result has a
        cotangent and at least one operand needs one. Ops are made with `builder`
        at this op's location. A rule that cannot serve these operands emits an
        error at the op and fails.
      }],
      "::llvm::LogicalResult", "buildVjp",
      (ins "::mlir::OpBuilder &":$builder, "::dit::Cotangents &":$cotangents)>,
  ];
}

#endif // DIT_DIFFERENTIABLEOPINTERFACE_TD
