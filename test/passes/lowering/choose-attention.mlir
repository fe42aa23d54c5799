// RUN: dit-opt %s --dit-choose-attention | FileCheck %s
// RUN: dit-opt %s --dit-choose-attention=report --verify-diagnostics -o /dev/null

dit.global @qkv input : tensor<2x256x3456xbf16>
dit.global @wide input : tensor<2x256x3456xf32>
dit.global @mask input : tensor<256x256xf32>
dit.global @out output : tensor<2x256x1152xbf16>
dit.global @out32 output : tensor<2x256x1152xf32>

// CHECK-LABEL: plan.function @heads_of_72
// CHECK: plan.attention {{.*}} type = bf16 {ours}
plan.function @heads_of_72 step = "a" {
  %qkv = plan.global @qkv 3538944
  %out = plan.global @out 1179648
  %q = plan.slice %qkv[0, 3538656]
  %k = plan.slice %qkv[144, 3538656]
  %v = plan.slice %qkv[288, 3538656]
  // expected-remark @below {{attention by our kernel}}
  plan.attention %q, %k, %v -> %out sizes = [2, 16, 256, 256, 72, 72] scale = 0.118
      q_strides = [884736, 3456, 216] k_strides = [884736, 3456, 216]
      v_strides = [884736, 3456, 216] output_strides = [294912, 1152, 72] type = bf16
}

// Heads of 64: few rows are ours, many the library's.
// CHECK-LABEL: plan.function @heads_of_64
// CHECK: plan.attention {{.*}} {ours}
// CHECK: plan.attention
// CHECK-NOT: ours
plan.function @heads_of_64 step = "c" {
  %qkv = plan.global @qkv 3538944
  %out = plan.global @out 1179648
  // expected-remark @below {{attention by our kernel}}
  plan.attention %qkv, %qkv, %qkv -> %out sizes = [1, 18, 256, 256, 64, 64] scale = 0.125
      q_strides = [884736, 3456, 64] k_strides = [884736, 3456, 64]
      v_strides = [884736, 3456, 64] output_strides = [294912, 1152, 64] type = bf16
  // expected-remark @below {{attention by cuDNN}}
  plan.attention %qkv, %qkv, %qkv -> %out sizes = [2, 18, 256, 256, 64, 64] scale = 0.125
      q_strides = [884736, 3456, 64] k_strides = [884736, 3456, 64]
      v_strides = [884736, 3456, 64] output_strides = [294912, 1152, 64] type = bf16
}

// Heads for which the library is faster, another type, a mask, rows that do
// not begin at multiples of 16 bytes: the library's.
// CHECK-LABEL: plan.function @library
// CHECK-NOT: ours
plan.function @library step = "b" {
  %qkv = plan.global @qkv 3538944
  %wide = plan.global @wide 7077888
  %mask = plan.global @mask 262144
  %out = plan.global @out 1179648
  %out32 = plan.global @out32 2359296
  // expected-remark @below {{attention by cuDNN}}
  plan.attention %qkv, %qkv, %qkv -> %out sizes = [2, 18, 256, 256, 64, 64] scale = 0.125
      q_strides = [884736, 3456, 64] k_strides = [884736, 3456, 64]
      v_strides = [884736, 3456, 64] output_strides = [294912, 1152, 64] type = bf16
  // expected-remark @below {{attention by cuDNN}}
  plan.attention %wide, %wide, %wide -> %out32 sizes = [2, 16, 256, 256, 72, 72] scale = 0.118
      q_strides = [884736, 3456, 72] k_strides = [884736, 3456, 72]
      v_strides = [884736, 3456, 72] output_strides = [294912, 1152, 72] type = f32
  // expected-remark @below {{attention by cuDNN}}
  plan.attention %qkv, %qkv, %qkv -> %out mask %mask [0, 0, 256, 1] sizes = [2, 16, 256, 256, 72, 72] scale = 0.118
      q_strides = [884736, 3456, 72] k_strides = [884736, 3456, 72]
      v_strides = [884736, 3456, 72] output_strides = [294912, 1152, 72] type = bf16
  %odd = plan.slice %qkv[8, 3538656]
  // expected-remark @below {{attention by cuDNN}}
  plan.attention %odd, %qkv, %qkv -> %out sizes = [2, 16, 256, 256, 72, 72] scale = 0.118
      q_strides = [884736, 3456, 72] k_strides = [884736, 3456, 72]
      v_strides = [884736, 3456, 72] output_strides = [294912, 1152, 72] type = bf16
}

// Gradients of heads that shared memory holds whole.
// CHECK-LABEL: plan.function @gradients
// CHECK: plan.attention_grad {{.*}} type = bf16 {ours}
// CHECK: plan.attention_grad
// CHECK-NOT: ours
plan.function @gradients step = "d" {
  %qkv = plan.global @qkv 3538944
  %out = plan.global @out 1179648
  %back = plan.buffer 3538944
  %lse = plan.buffer 32768
  %q = plan.slice %qkv[0, 3538656]
  %k = plan.slice %qkv[144, 3538656]
  %v = plan.slice %qkv[288, 3538656]
  %dq = plan.slice %back[0, 3538656]
  %dk = plan.slice %back[144, 3538656]
  %dv = plan.slice %back[288, 3538656]
  // expected-remark @below {{gradient of attention by our kernel}}
  plan.attention_grad %q, %k, %v, %out, %lse, %out -> %dq, %dk, %dv sizes = [2, 16, 256, 256, 72, 72] scale = 0.118
      strides = [884736, 3456, 216, 884736, 3456, 216, 884736, 3456, 216, 294912, 1152, 72, 294912, 1152, 72, 884736, 3456, 216, 884736, 3456, 216, 884736, 3456, 216] type = bf16
  // More tokens, other heads, a row that begins at 8 bytes: the library's.
  // expected-remark @below {{gradient of attention by cuDNN}}
  plan.attention_grad %q, %k, %v, %out, %lse, %out -> %dq, %dk, %dv sizes = [2, 4, 512, 512, 72, 72] scale = 0.118
      strides = [442368, 864, 216, 442368, 864, 216, 442368, 864, 216, 147456, 288, 72, 147456, 288, 72, 442368, 864, 216, 442368, 864, 216, 442368, 864, 216] type = bf16
  // expected-remark @below {{gradient of attention by cuDNN}}
  plan.attention_grad %q, %k, %v, %out, %lse, %out -> %dq, %dk, %dv sizes = [2, 16, 256, 256, 32, 32] scale = 0.118
      strides = [393216, 1536, 96, 393216, 1536, 96, 393216, 1536, 96, 131072, 512, 32, 131072, 512, 32, 393216, 1536, 96, 393216, 1536, 96, 393216, 1536, 96] type = bf16
  %odd = plan.slice %back[8, 3538656]
  // expected-remark @below {{gradient of attention by cuDNN}}
  plan.attention_grad %q, %k, %v, %out, %lse, %out -> %odd, %dk, %dv sizes = [2, 16, 256, 256, 72, 72] scale = 0.118
      strides = [884736, 3456, 216, 884736, 3456, 216, 884736, 3456, 216, 294912, 1152, 72, 294912, 1152, 72, 884736, 3456, 216, 884736, 3456, 216, 884736, 3456, 216] type = bf16
}
