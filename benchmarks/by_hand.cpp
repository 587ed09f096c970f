// by_hand.cpp: the same written by hand, the straightforward way, under harness.h.
//
// Dense layers of WIDTH units with tanh or softplus (-DSOFTPLUS), a linear last one; one point after another, the
// derivatives of all inputs carried along. -DHESSIAN: a model of one output, its gradient backwards, and the
// derivatives of that along each input. The weights are layer by layer, kernel [inputs][outputs] and then bias.
#include "harness.h"

#include <cmath>
#include <vector>

namespace {

constexpr int kIn = X_SIZE, kWidth = WIDTH, kHidden = HIDDEN, kOut = Y_SIZE;

struct Layer {
  std::vector<TYPE> kernel, bias;
};
std::vector<Layer> layers;

struct Activation {
  TYPE value, first, second;
};

inline Activation activate(TYPE z) {
#ifdef SOFTPLUS
  const TYPE s = TYPE(1) / (TYPE(1) + std::exp(-z));
  return {z > 0 ? z + std::log1p(std::exp(-z)) : std::log1p(std::exp(z)), s, s * (TYPE(1) - s)};
#else
  const TYPE t = std::tanh(z), d = TYPE(1) - t * t;
  return {t, d, TYPE(-2) * t * d};
#endif
}

// out[o] (+)= sum over i of in[i] kernel[i][o]
template <int Inputs, int Outputs>
inline void product(const TYPE *kernel, const TYPE *in, TYPE *out) {
  for (int o = 0; o < Outputs; ++o) out[o] = 0;
  for (int i = 0; i < Inputs; ++i)
    for (int o = 0; o < Outputs; ++o) out[o] += in[i] * kernel[i * Outputs + o];
}

// out[i] = sum over o of kernel[i][o] in[o]
template <int Inputs, int Outputs>
inline void transposed(const TYPE *kernel, const TYPE *in, TYPE *out) {
  for (int i = 0; i < Inputs; ++i) {
    TYPE sum = 0;
    for (int o = 0; o < Outputs; ++o) sum += kernel[i * Outputs + o] * in[o];
    out[i] = sum;
  }
}

#ifdef HESSIAN

void point(const TYPE *x, TYPE *y, TYPE *gradient, TYPE *hessian) {
  static_assert(kHidden == 2 && kOut == 1);
  const TYPE *w1 = layers[0].kernel.data(), *w2 = layers[1].kernel.data(), *w3 = layers[2].kernel.data();
  TYPE z[kWidth], h1[kWidth], s1[kWidth], t1[kWidth], s2[kWidth], t2[kWidth], g1[kWidth], d1[kWidth], d2[kWidth];
  product<kIn, kWidth>(w1, x, z);
  for (int o = 0; o < kWidth; ++o) {
    const Activation a = activate(z[o] + layers[0].bias[o]);
    h1[o] = a.value, s1[o] = a.first, t1[o] = a.second;
  }
  product<kWidth, kWidth>(w2, h1, z);
  *y = layers[2].bias[0];
  for (int o = 0; o < kWidth; ++o) {
    const Activation a = activate(z[o] + layers[1].bias[o]);
    s2[o] = a.first, t2[o] = a.second;
    *y += a.value * w3[o];
    d2[o] = w3[o] * s2[o];
  }
  transposed<kWidth, kWidth>(w2, d2, g1);
  for (int o = 0; o < kWidth; ++o) d1[o] = g1[o] * s1[o];
  transposed<kIn, kWidth>(w1, d1, gradient);
  for (int k = 0; k < kIn; ++k) {  // all of the above, along input k
    TYPE dh[kWidth], dz[kWidth], dg[kWidth];
    for (int o = 0; o < kWidth; ++o) dh[o] = s1[o] * w1[k * kWidth + o];
    product<kWidth, kWidth>(w2, dh, dz);
    for (int o = 0; o < kWidth; ++o) dz[o] *= w3[o] * t2[o];
    transposed<kWidth, kWidth>(w2, dz, dg);
    for (int o = 0; o < kWidth; ++o) dg[o] = dg[o] * s1[o] + g1[o] * t1[o] * w1[k * kWidth + o];
    transposed<kIn, kWidth>(w1, dg, hessian + k * kIn);
  }
}

#else

void point(const TYPE *x, TYPE *y, TYPE *jacobian) {
  TYPE h[kWidth], dh[kIn][kWidth], z[kWidth], dz[kWidth];
  product<kIn, kWidth>(layers[0].kernel.data(), x, z);
  for (int o = 0; o < kWidth; ++o) {
    const Activation a = activate(z[o] + layers[0].bias[o]);
    h[o] = a.value;
    for (int k = 0; k < kIn; ++k) dh[k][o] = a.first * layers[0].kernel[k * kWidth + o];
  }
  for (int l = 1; l < kHidden; ++l) {
    TYPE slope[kWidth];
    product<kWidth, kWidth>(layers[l].kernel.data(), h, z);
    for (int o = 0; o < kWidth; ++o) {
      const Activation a = activate(z[o] + layers[l].bias[o]);
      h[o] = a.value, slope[o] = a.first;
    }
    for (int k = 0; k < kIn; ++k) {
      product<kWidth, kWidth>(layers[l].kernel.data(), dh[k], dz);
      for (int o = 0; o < kWidth; ++o) dh[k][o] = slope[o] * dz[o];
    }
  }
  const Layer &last = layers[kHidden];
  product<kWidth, kOut>(last.kernel.data(), h, y);
  for (int o = 0; o < kOut; ++o) y[o] += last.bias[o];
  for (int k = 0; k < kIn; ++k) {
    TYPE column[kOut];
    product<kWidth, kOut>(last.kernel.data(), dh[k], column);
    for (int o = 0; o < kOut; ++o) jacobian[o * kIn + k] = column[o];
  }
}

#endif

}  // namespace

static int prepare(const char *weights_file) {
  std::vector<TYPE> weights;
  size_t place = 0;
  for (int l = 0; l <= kHidden; ++l) {
    const int inputs = l == 0 ? kIn : kWidth, outputs = l == kHidden ? kOut : kWidth;
    layers.push_back({std::vector<TYPE>(inputs * outputs), std::vector<TYPE>(outputs)});
    place += layers.back().kernel.size() + layers.back().bias.size();
  }
  weights.resize(place);
  if (weights_file == nullptr || !read_all(weights_file, weights.data(), place * sizeof(TYPE))) return 0;
  const TYPE *next = weights.data();
  for (Layer &layer : layers)
    for (std::vector<TYPE> *part : {&layer.kernel, &layer.bias})
      for (TYPE &weight : *part) weight = *next++;
  return 1;
}

static int evaluate(int64_t n, const TYPE *x, TYPE *const *outputs) {
  for (int64_t i = 0; i < n; ++i) {
#ifdef HESSIAN
    point(x + i * kIn, outputs[0] + i, outputs[1] + i * kIn, outputs[2] + i * kIn * kIn);
#else
    point(x + i * kIn, outputs[0] + i * kOut, outputs[1] + i * kOut * kIn);
#endif
  }
  return 0;
}
