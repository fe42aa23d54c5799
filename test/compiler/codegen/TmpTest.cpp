#include "test/compiler/codegen/KernelHarness.h"
#include "test/compiler/codegen/Reference.h"
using namespace dit::codegen;
static void show(const char*n, std::vector<double> v){ printf("%s:",n); for(double x:v) printf(" %.4f",x); puts(""); }
TEST(Tmp, x) {
  for (const char* tail : {"dit.yield %v7 : tensor<2x3xf32>", "%v9 = dit.softmax %v7 : tensor<2x3xf32>\n dit.yield %v9 : tensor<2x3xf32>"}) {
  CompiledKernel k(std::string(R"(
  %0 = space = [2, 3] (%x0, %x1) : (tensor<3x1xf32>, tensor<3x1xf32>) -> (tensor<2x3xf32>) {
  ^bb0(%a0: tensor<3x1xf32>, %a1: tensor<3x1xf32>):
    %i3 = arith.constant dense<[-2, -2, -3]> : tensor<3xi64>
    %v3 = dit.gather %a1, %i3 : tensor<3x1xf32>, tensor<3xi64>
    %v4 = arith.addf %v3, %a0 : tensor<3x1xf32>
    %v6 = tensor.concat dim(1) %v3, %v4 : (tensor<3x1xf32>, tensor<3x1xf32>) -> tensor<3x2xf32>
    %v7 = dit.transpose %v6 permutation = [1, 0] : tensor<3x2xf32>
    )")+tail+"\n}");
  k.fillRandomly(1); 
  show("a0",k.numbers(0)); show("a1",k.numbers(1));
  k.run(); show("r",k.result(0)); k.check(1e-5);
  }
}
