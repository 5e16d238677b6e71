// The exact binomial test, random orders, and which of two scores is better.

function logFactorial(n) {
  let sum = 0;
  for (let k = 2; k <= n; k += 1) sum += Math.log(k);
  return sum;
}

// P(X ≥ k) of n trials that succeed with probability p.
function upperTail(k, n, p) {
  if (k <= 0) return 1;
  if (p <= 0) return 0;
  if (p >= 1) return 1;
  let sum = 0;
  for (let i = k; i <= n; i += 1) {
    const choose = logFactorial(n) - logFactorial(i) - logFactorial(n - i);
    sum += Math.exp(choose + i * Math.log(p) + (n - i) * Math.log1p(-p));
  }
  return Math.min(1, sum);
}

// Two-sided p value of k of n against one half.
function binomialTest(k, n) {
  return Math.min(1, 2 * upperTail(Math.max(k, n - k), n, 0.5));
}

// The share at which a rising function of it reaches the target.
function solve(rising, target) {
  let [low, high] = [0, 1];
  for (let step = 0; step < 60; step += 1) {
    const middle = (low + high) / 2;
    if (rising(middle) < target) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

// The 95 % interval of Clopper and Pearson for a share of k of n.
function shareInterval(k, n) {
  const low = k === 0 ? 0 : solve((p) => upperTail(k, n, p), 0.025);
  const high = k === n ? 1 : solve((p) => upperTail(k + 1, n, p), 0.975);
  return [low, high];
}

// A whole number below n, each as likely as the others.
function randomBelow(n) {
  const limit = Math.floor(2 ** 32 / n) * n;
  const draw = new Uint32Array(1);
  do crypto.getRandomValues(draw); while (draw[0] >= limit);
  return draw[0] % n;
}

function shuffled(list) {
  const result = [...list];
  for (let i = result.length - 1; i > 0; i -= 1) {
    const j = randomBelow(i + 1);
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

// Larger is better, whatever the direction of the metric.
function goodness(metric, value) {
  if (metric.better === "higher") return value;
  return metric.better === "lower" ? -value : -Math.abs(value);
}
